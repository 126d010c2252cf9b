"""Settings of a search, chosen by what it finds on the attacker's own selection images."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

from goldcut.fitting import is_converged
from goldcut.progress import Progress

SHORT = 8
"""A first trial takes this fraction of the steps."""

SELECTION = 24
"""Selection images that settings are chosen on, at most."""

Candidate = TypeVar("Candidate")


@dataclass(frozen=True)
class Course:
    """How the error on the selection images went during a search.

    Attributes:
        steps: Where it was looked at; 0 is the start.
        mse: Mean squared error there.
    """

    steps: tuple[int, ...]
    mse: tuple[float, ...]

    @property
    def least(self) -> float:
        """The smallest error."""
        return min(self.mse)

    @property
    def best(self) -> int:
        """The step at which it was smallest: where a search should end."""
        return self.steps[self.mse.index(self.least)]

    @property
    def converged(self) -> bool:
        """Whether the last quarter of the steps improved the smallest error by less than 1 %."""
        return is_converged(list(self.mse))


@dataclass
class Meter:
    """Tells how many steps of all have been taken."""

    task: str
    total: int
    progress: Progress
    done: int = 0

    def add(self, steps: int) -> None:
        """Count steps."""
        self.done += steps
        self.progress(self.task, min(self.done, self.total), self.total)


def follow(
    search: Iterable[tuple[int, Float[Tensor, "n c h w"]]], truth: Float[Tensor, "n c h w"], meter: Meter
) -> Course:
    """Carry out a search for images that are known."""
    steps: list[int] = []
    errors: list[float] = []
    for step, images in search:
        meter.add(step - steps[-1] if steps else 0)
        steps.append(step)
        errors.append(float((images - truth).square().mean()))
    return Course(tuple(steps), tuple(errors))


def choose(
    groups: Sequence[Sequence[Candidate]], run: Callable[[Candidate, int], Course], *, steps: int
) -> tuple[Candidate, Course]:
    """The best candidate and its course: all of them briefly, then the best of each group in full.

    Successive halving (Jamieson, Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter Optimization,
    2016), in groups because what is quick at first may end behind what is slow.

    Args:
        groups: Of equally good ones the first is taken; a group of one is not tried briefly.
        run: A candidate's course over so many steps.
        steps: Of a full trial.
    """
    finalists = [
        min(group, key=lambda one: run(one, short(steps)).least) if len(group) > 1 else group[0] for group in groups
    ]
    return min(((one, run(one, steps)) for one in finalists), key=lambda pair: pair[1].least)


def short(steps: int) -> int:
    """Steps of a brief trial."""
    return max(1, steps // SHORT)
