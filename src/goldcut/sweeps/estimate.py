"""How long the trials that are left may take: from those that are done, else from a few measured steps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from goldcut.progress import Progress, silent
from goldcut.study.plan import make_plan
from goldcut.sweeps.checks import open_trial
from goldcut.sweeps.store import Entry, State
from goldcut.sweeps.trials import Trial


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A trial of the plan.

    Attributes:
        trial: In words.
        state: What the store says; "pending" where it does not know the trial yet.
        seconds: What it took, or an estimate; at most, where attacks train until they are flat.
        measured: Whether a trial that differs in seed and defence alone has been timed.
        unknown: Attacks that no estimate covers.
    """

    id: str
    trial: str
    state: State
    seconds: float
    measured: bool
    unknown: tuple[str, ...] = ()


def forecast(
    trials: Sequence[Trial],
    entries: Sequence[Entry],
    *,
    threads: int,
    device: str = "cpu",
    progress: Progress = silent,
) -> tuple[Forecast, ...]:
    """The trials of a plan with their state and time.

    Args:
        trials: In order.
        entries: Those that a store knows.
        threads: Computing threads of each trial.
        device: Where they would run.
        progress: Told the kinds of trials that are timed.
    """
    torch.set_num_threads(threads)
    known = {entry.id: entry for entry in entries}
    timed: dict[Trial, tuple[float, bool, tuple[str, ...]]] = {}
    for entry in entries:
        if entry.state == "done" and entry.seconds is not None:
            before = timed.get(_kind(entry.trial), (0.0,))[0]
            timed[_kind(entry.trial)] = (max(before, entry.seconds), True, ())
    for turn, trial in enumerate(trials, 1):
        if _kind(trial) not in timed:
            timed[_kind(trial)] = _measure(trial, device)
        progress("timing a few steps", turn, len(trials))
    return tuple(_forecast(trial, known.get(trial.id), *timed[_kind(trial)]) for trial in trials)


def _forecast(trial: Trial, entry: Entry | None, seconds: float, measured: bool, unknown: tuple[str, ...]) -> Forecast:
    state = entry.state if entry else "pending"
    if entry and entry.state == "done" and entry.seconds is not None:
        seconds = entry.seconds
    return Forecast(id=trial.id, trial=str(trial), state=state, seconds=seconds, measured=measured, unknown=unknown)


def _kind(trial: Trial) -> Trial:
    """What trials that take about the same time have in common."""
    return replace(trial, seed=0, defense=None)


def _measure(trial: Trial, device: str) -> tuple[float, bool, tuple[str, ...]]:
    target, pack = open_trial(trial)
    plan = make_plan(
        target,
        pack,
        level=trial.level,
        attacks=trial.attacks,
        effort=trial.effort,
        knowledge=trial.knowledge,
        aux=trial.aux,
        victims=trial.victims,
        device=device,
        seed=trial.seed,
    )
    return plan.seconds, False, plan.unknown
