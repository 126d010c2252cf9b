"""A sweep from its file to its page."""

from functools import partial
from pathlib import Path

from goldcut.progress import Progress, silent
from goldcut.study.scan import MEMORY_BYTES
from goldcut.sweeps.checks import read_sweep
from goldcut.sweeps.executors import LocalProcesses, count_cores, share_cores
from goldcut.sweeps.progression import run_trials
from goldcut.sweeps.store import Entry, Store, open_store
from goldcut.sweeps.summary import Summary, summarise
from goldcut.sweeps.trials import Trial
from goldcut.sweeps.work import carry_out


def run_sweep(
    file: Path,
    out: Path,
    *,
    workers: int | None = None,
    device: str = "cpu",
    memory: int = MEMORY_BYTES,
    retry_failed: bool = False,
    progress: Progress = silent,
) -> Summary:
    """Carry out what is left of a file's trials and summarise the folder.

    Args:
        file: YAML, see docs/sweep.md.
        out: The folder; what it holds already stays.
        workers: Trials at once; one for each four cores when None, never more than cores.
        device: Where each trial computes.
        memory: Most bytes for statistics or features of a trial.
        retry_failed: Whether trials that have failed are tried again.
        progress: Told the trials that have ended.

    Raises:
        SweepError: The file or the folder cannot be used; nothing has been run then.
    """
    trials, _ = plan_sweep(file, out, progress=progress)
    with Store(out) as store:
        store.plan(trials)
        if retry_failed:
            store.retry_failed([trial.id for trial in trials])
        work = partial(carry_out, device=device, memory=memory)
        if any(entry.state in ("pending", "running") for entry in store.entries(trial.id for trial in trials)):
            executor = LocalProcesses(work, *share_cores(count_cores(), workers))
            run_trials(store, trials, executor, progress=progress)
        return summarise(store)


def plan_sweep(file: Path, out: Path, *, progress: Progress = silent) -> tuple[tuple[Trial, ...], tuple[Entry, ...]]:
    """The trials of a file, and what the folder knows of trials; the folder need not exist and is not written.

    Raises:
        SweepError: The file cannot be used.
    """
    entries: tuple[Entry, ...] = ()
    if (out / "sweep.sqlite").is_file():
        with open_store(out) as store:
            entries = store.entries()
    done = {entry.id for entry in entries if entry.state == "done"}
    return read_sweep(file, done=done, progress=progress), entries
