"""The only training loop: classifiers, decoders, later shadows and generators all go through it.

It trains until flat. The rate is kept while the selection score still falls, lowered step by step, from the
best state on, when it does not, and the training ends when the last rate is reached and the last quarter of all steps
improved the best selection score by less than 1 %, or at `max_steps`. Towards `max_steps` the rate is
lowered in any case, but not before three quarters of them: what the lower rate gains then falls into
the last quarter, so that a training cut short cannot look converged.

With a `schedule` the rate follows that instead and every step is taken, so that two trainings that are to be
compared differ in nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from goldcut.errors import AttackError
from goldcut.fitting.checkpoint import read_checkpoint, write_checkpoint
from goldcut.progress import Progress, silent

Loss = Callable[[Tensor, torch.Generator], Tensor]
"""The loss of the samples with these indices; randomness is drawn from the generator."""

Schedule = Callable[[float], float]
"""What the first rate is multiplied by, as a function of the share of the steps that are taken."""

FLAT = 0.01
"""Less than this relative gain in the last quarter of the training is called converged."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        max_steps: Cap of the optimisation steps.
        batch: Samples per step; fewer where there are fewer samples.
        rate: First learning rate of AdamW.
        weight_decay: Decoupled weight decay (Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019).
        round_steps: Steps between two selection scores.
        factor: What the rate is multiplied by when the score is flat.
        reductions: How often that happens at most.
        restarts: How often a training that diverged or collapsed starts anew, at `factor` times the rate.
        checkpoint_seconds: Least time between two checkpoints.
    """

    max_steps: int = 5000
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 1e-2
    round_steps: int = 100
    factor: float = 0.3
    reductions: int = 3
    restarts: int = 2
    checkpoint_seconds: float = 20.0


@dataclass(frozen=True)
class Fitted:
    """What came of a training; the model holds the state of the best round, in eval mode.

    Attributes:
        score: Best selection score.
        converged: Whether the last quarter of the steps improved the best score by less than 1 %.
        steps: Steps of the run that counts, restarts left out.
        scores: Selection score of every round.
        restarts: How often it diverged or collapsed.
    """

    score: float
    converged: bool
    steps: int
    scores: tuple[float, ...]
    restarts: int


@dataclass
class _Course:
    """Where a training is; all of it goes into the checkpoint."""

    step: int = 0
    reductions: int = 0
    reduced_at: int = 0
    restarts: int = 0
    scores: list[float] = field(default_factory=list)


def gain_since(scores: list[float], since: float) -> float:
    """Relative gain of the best score over the rounds after the share `since` of them.

    Infinite where no round lies before, so that nothing is called flat too early.

    Example:
        >>> round(gain_since([1.0, 0.5, 0.4, 0.36], 0.75), 6)
        0.1
    """
    before = scores[: int(len(scores) * since)]
    if not before:
        return float("inf")
    best = min(before)
    return (best - min(scores)) / best if best > 0 else 0.0


def is_converged(scores: list[float]) -> bool:
    """Whether the last quarter of the rounds improved the best score by less than 1 %."""
    return len(scores) >= 4 and gain_since(scores, 0.75) < FLAT


def fit(
    model: nn.Module,
    loss: Loss,
    score: Callable[[], float],
    *,
    samples: int,
    settings: Settings,
    seed: int,
    ceiling: float = float("inf"),
    task: str = "training",
    progress: Progress = silent,
    checkpoint: Path | None = None,
    schedule: Schedule | None = None,
    between: Callable[[int], None] | None = None,
) -> Fitted:
    """Train a model in place, keep its best state by the selection score, and leave it in eval mode.

    The order of the samples is a function of the seed and the epoch, and `loss` gets a generator seeded
    by the step: a resumed run takes exactly the steps of an uninterrupted one, and trainings in parallel
    threads do not disturb each other. (A model with dropout draws from the global generator, which is
    seeded for each step and restored at the end: train such a model alone.)

    Args:
        model: Trained in place.
        loss: Called with the model in training mode.
        score: The selection score, lower is better; called in eval mode without gradients.
        samples: Number of training samples.
        settings: How to train.
        seed: Seed of the order and of the noise.
        ceiling: Worst score that makes sense: where the best is still above it when the score is flat or the
            steps are used up, the training has collapsed and starts anew like one that diverged.
        task: Name for the progress.
        progress: Told the steps; an exception that it raises ends the training.
        checkpoint: File to resume from and to write to; at the end it holds the best state, so that the same call
            again takes no step.
        schedule: The rate by the share of the steps; None to train until flat. Such a training is long and its rounds
            are epochs, so the checkpoint is written inside a round as well.
        between: Called with the number of steps taken: at the start (also of a resumed or restarted training)
            and after each step, before a checkpoint is written. It must leave the model as it is.

    Raises:
        AttackError: It diverges or collapses even at the lowest rate.
    """
    course = _Course()
    start = _copy(model)
    optimiser = _optimiser(model, settings, course)
    best = start
    key = repr((sorted(asdict(settings).items()), seed, samples))
    if checkpoint is not None and (stored := read_checkpoint(checkpoint, key)) is not None:
        course = _Course(**stored.course)
        optimiser = _optimiser(model, settings, course)
        best = stored.restore(model, optimiser)
    written = monotonic()

    def keep() -> None:
        nonlocal written
        if checkpoint is not None and monotonic() - written >= settings.checkpoint_seconds:
            write_checkpoint(checkpoint, key, asdict(course), model, best, optimiser)
            written = monotonic()

    def stand() -> None:
        if schedule is not None:
            rate = _rate(course, settings) * schedule(course.step / settings.max_steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
        if between is not None:
            between(course.step)
        if schedule is not None and course.step % settings.round_steps and course.step < settings.max_steps:
            keep()

    with _chance_of(model):
        stand()
        while not _is_over(course, settings, schedule):
            if not _train_round(model, loss, optimiser, course, samples, settings, seed, task, progress, stand):
                value = float("nan")
            else:
                value = _evaluate(model, score)
            if np.isfinite(value):
                if not course.scores or value < min(course.scores):
                    best = _copy(model)
                course.scores.append(value)
                if schedule is None and _lower_rate(optimiser, course, settings):
                    model.load_state_dict(best)
            if not np.isfinite(value) or _has_collapsed(course, settings, ceiling):
                course = _restart(course, settings, task)
                model.load_state_dict(start)
                best, optimiser = start, _optimiser(model, settings, course)
                stand()
                continue
            keep()
    model.load_state_dict(best)
    model.eval()
    if checkpoint is not None:
        write_checkpoint(checkpoint, key, asdict(course), model, best, _optimiser(model, settings, course))
    return Fitted(min(course.scores), is_converged(course.scores), course.step, tuple(course.scores), course.restarts)


def _is_over(course: _Course, settings: Settings, schedule: Schedule | None) -> bool:
    done = schedule is None and course.reductions >= settings.reductions and is_converged(course.scores)
    return bool(course.scores) and (done or course.step >= settings.max_steps)


def _train_round(
    model: nn.Module,
    loss: Loss,
    optimiser: torch.optim.Optimizer,
    course: _Course,
    samples: int,
    settings: Settings,
    seed: int,
    task: str,
    progress: Progress,
    stand: Callable[[], None],
) -> bool:
    """Take the steps that are left of a round; False where a loss was not finite."""
    model.train()
    noise = torch.Generator()
    left = settings.round_steps - course.step % settings.round_steps
    for _ in range(min(left, max(1, settings.max_steps - course.step))):
        step_seed = int(
            np.random.SeedSequence((seed, 1, course.restarts, course.step)).generate_state(1, np.uint64)[0] >> 1
        )
        noise.manual_seed(step_seed)
        if _has_dropout(model):
            torch.manual_seed(step_seed)
        value = loss(batch_index(samples, settings.batch, course.step, seed), noise)
        if not torch.isfinite(value):
            return False
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        course.step += 1
        stand()
        progress(task, course.step, settings.max_steps)
    return True


def batch_index(samples: int, batch: int, step: int, seed: int) -> Tensor:
    """Indices of the samples of a step: a fresh order each epoch, the incomplete last batch left out.

    Example:
        >>> sorted(torch.cat([batch_index(6, 3, step, seed=0) for step in (0, 1)]).tolist())
        [0, 1, 2, 3, 4, 5]
    """
    batch = min(batch, samples)
    epoch, place = divmod(step, samples // batch)
    order = np.random.default_rng((seed, 2, epoch)).permutation(samples)
    return torch.from_numpy(order[place * batch : (place + 1) * batch])


def _evaluate(model: nn.Module, score: Callable[[], float]) -> float:
    model.eval()
    with torch.no_grad():
        return score()


def _has_collapsed(course: _Course, settings: Settings, ceiling: float) -> bool:
    """Whether even the best score makes no sense when it is time for it to do so."""
    return min(course.scores) > ceiling and (course.reductions > 0 or course.step >= settings.max_steps)


def _lower_rate(optimiser: torch.optim.Optimizer, course: _Course, settings: Settings) -> bool:
    """Lower the rate where the score is flat, or where the cap comes near; tells whether it did."""
    if course.reductions >= settings.reductions:
        return False
    rounds = len(course.scores)
    window = max(3, rounds // 8)
    waited = (course.step - course.reduced_at) // settings.round_steps > window
    flat = waited and gain_since(course.scores, (rounds - window) / rounds) < FLAT / 2
    forced = 0.75 + 0.25 * course.reductions / (settings.reductions + 1)
    if not flat and course.step < forced * settings.max_steps:
        return False
    course.reductions += 1
    course.reduced_at = course.step
    for group in optimiser.param_groups:
        group["lr"] = _rate(course, settings)
    return True


def _rate(course: _Course, settings: Settings) -> float:
    return settings.rate * settings.factor ** (course.restarts + course.reductions)


def _restart(course: _Course, settings: Settings, task: str) -> _Course:
    if course.restarts >= settings.restarts:
        raise AttackError(
            f"{task} diverged or collapsed {course.restarts + 1} times, last at rate {_rate(course, settings):.1e}",
            "Look at the scale of Z at this cut: values near the limits of float32 cannot be trained on.",
        )
    return _Course(restarts=course.restarts + 1)


def _optimiser(model: nn.Module, settings: Settings, course: _Course) -> torch.optim.AdamW:
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(weights, lr=_rate(course, settings), weight_decay=settings.weight_decay, fused=True)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _has_dropout(model: nn.Module) -> bool:
    return any(isinstance(module, _DropoutNd) and module.p > 0 for module in model.modules())


@contextmanager
def _chance_of(model: nn.Module) -> Iterator[None]:
    """Restore the global generator afterwards, where the model draws from it at all."""
    if not _has_dropout(model):
        yield
        return
    with torch.random.fork_rng():
        yield
