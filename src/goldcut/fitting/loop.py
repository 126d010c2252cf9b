"""The only training loop: classifiers, decoders, shadows and generators all go through it.

When its rate is lowered and when it ends stands in `course`. With a `schedule` the rate follows that instead and every
step is taken, so that two trainings that are to be compared differ in nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from goldcut.fitting.average import Average
from goldcut.fitting.checkpoint import read_checkpoint, write_checkpoint
from goldcut.fitting.course import Course, Fitted, Settings, is_converged
from goldcut.fitting.memory import keep_freed_memory
from goldcut.fitting.muon import Muon
from goldcut.progress import Progress, silent

Loss = Callable[[Tensor, torch.Generator], Tensor]
"""The loss of the samples with these indices; randomness is drawn from the generator."""

Schedule = Callable[[float], float]
"""What the first rate is multiplied by, as a function of the share of the steps that are taken."""


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
    keep_freed_memory()
    course = Course()
    start = _copy(model)
    optimiser = build_optimiser(model, settings, course.rate(settings))
    best = start
    average = Average(start) if settings.averaged else None
    key = repr((sorted(asdict(settings).items()), seed, samples))
    if checkpoint is not None and (stored := read_checkpoint(checkpoint, key)) is not None:
        course = Course(**stored.course)
        optimiser = build_optimiser(model, settings, course.rate(settings))
        best, averaged = stored.restore(model, optimiser)
        average = Average(averaged) if settings.averaged else None
    written = monotonic()

    def keep() -> None:
        nonlocal written
        if checkpoint is not None and monotonic() - written >= settings.checkpoint_seconds:
            averaged = average.state if average else {}
            write_checkpoint(checkpoint, key, asdict(course), model, best, averaged, optimiser)
            written = monotonic()

    def stand() -> None:
        if schedule is not None:
            _set_rate(optimiser, course.rate(settings) * schedule(course.step / settings.max_steps))
        if between is not None:
            between(course.step)
        if schedule is not None and course.step % settings.round_steps and course.step < settings.max_steps:
            keep()

    def stepped() -> None:
        if average is not None:
            average.add(model, course.step - course.reduced_at)
        stand()
        progress(task, course.step, settings.max_steps)

    with _chance_of(model):
        stand()
        while not (course.is_full(settings) if schedule else course.is_over(settings)):
            value = float("nan")
            if _train_round(model, loss, optimiser, course, samples, settings, seed, stepped):
                with average.inside(model) if average else nullcontext():
                    value = _evaluate(model, score)
                    if value < min(course.scores, default=float("inf")):
                        best = _copy(model)
            if np.isfinite(value):
                course.scores.append(value)
                if schedule is None and course.lower_rate(settings):
                    _set_rate(optimiser, course.rate(settings))
                    model.load_state_dict(best)
                    average = Average(best) if settings.averaged else None
            if not np.isfinite(value) or course.has_collapsed(settings, ceiling):
                course = course.restart(settings, task)
                model.load_state_dict(start)
                best, optimiser = start, build_optimiser(model, settings, course.rate(settings))
                average = Average(start) if settings.averaged else None
                stand()
                continue
            keep()
    model.load_state_dict(best)
    model.eval()
    if checkpoint is not None:
        fresh = build_optimiser(model, settings, course.rate(settings))
        write_checkpoint(checkpoint, key, asdict(course), model, best, best if average else {}, fresh)
    return Fitted(min(course.scores), is_converged(course.scores), course.step, tuple(course.scores), course.restarts)


def _train_round(
    model: nn.Module,
    loss: Loss,
    optimiser: torch.optim.Optimizer,
    course: Course,
    samples: int,
    settings: Settings,
    seed: int,
    stepped: Callable[[], None],
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
        stepped()
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


def build_optimiser(model: nn.Module, settings: Settings, rate: float) -> torch.optim.AdamW:
    """What takes the steps of a training, at this rate."""
    if settings.muon:
        return Muon(model, rate=rate, weight_decay=settings.weight_decay)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(weights, lr=rate, weight_decay=settings.weight_decay, fused=True)


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


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
