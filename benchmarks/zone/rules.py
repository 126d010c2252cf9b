"""Scoring zone rules against the zone that attacks find: pure functions of curves over the cuts.

A position is the index of a zone's first cut among the cuts in order, the output last; the output's own position stands
for "no zone".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from goldcut.zone.locate import first_below


@dataclass(frozen=True)
class Case:
    """One target as a rule sees it, and the answer.

    Attributes:
        target: Its name.
        curve: A statistic at every cut, the output last.
        answer: Position of the post hoc zone.
    """

    target: str
    curve: tuple[float, ...]
    answer: int

    @property
    def none(self) -> int:
        """The position that stands for no zone."""
        return len(self.curve) - 1


def position(curve: Sequence[float], threshold: float) -> int:
    """Where a curve stays at or below a threshold to the end; no zone where only the output does, or not even it.

    Example:
        >>> position([0.9, 0.5, 0.3], 0.6), position([0.9, 0.8, 0.3], 0.6), position([0.9, 0.8, 0.7], 0.6)
        (1, 2, 2)
    """
    return min(first_below(np.asarray(curve, dtype=float), threshold), len(curve) - 1)


def is_hit(said: int, answer: int, none: int) -> bool:
    """Within one block-level cut; where there is no zone, and only there, "no zone" is right.

    Example:
        >>> is_hit(3, 4, 9), is_hit(2, 4, 9), is_hit(9, 8, 9), is_hit(9, 9, 9)
        (True, False, False, True)
    """
    if none in (said, answer):
        return said == answer
    return abs(said - answer) <= 1


Cost = Callable[[Sequence[Case], float], float]
"""What a threshold costs on some targets."""


def distance(cases: Sequence[Case], threshold: float) -> float:
    """Summed distance to the answers, in cuts."""
    return sum(abs(position(case.curve, threshold) - case.answer) for case in cases)


def misses(cases: Sequence[Case], threshold: float) -> float:
    """Number of misses; among equally many the distance decides."""
    missed = sum(not is_hit(position(case.curve, threshold), case.answer, case.none) for case in cases)
    return 1000 * missed + distance(cases, threshold)


def fit_threshold(cases: Sequence[Case], cost: Cost = distance) -> float:
    """The threshold with the smallest cost; of a tie the middle one.

    Candidates lie halfway between neighbouring values of all curves.

    Example:
        >>> cases = [Case("a", (0.9, 0.6, 0.2), 1), Case("b", (0.8, 0.7, 0.1), 1)]
        >>> round(fit_threshold(cases), 2)
        0.75
    """
    values = np.unique([value for case in cases for value in case.curve])
    edges = (values[:-1] + values[1:]) / 2 if len(values) > 1 else values
    costs = np.array([cost(cases, edge) for edge in edges])
    best = np.flatnonzero(costs == costs.min())
    return float(edges[best[len(best) // 2]])


@dataclass(frozen=True)
class Verdict:
    """What a rule said of a target that it was not fitted on.

    Attributes:
        target: Its name.
        said: Position of its zone.
        answer: Position of the post hoc zone.
        hit: Whether that counts as right.
        threshold: What the other targets gave; None for a rule that is not fitted.
    """

    target: str
    said: int
    answer: int
    hit: bool
    threshold: float | None = None


def leave_one_out(cases: Sequence[Case], cost: Cost = distance) -> tuple[Verdict, ...]:
    """Each target by the threshold that costs least on all others."""
    verdicts = []
    for case in cases:
        threshold = fit_threshold([other for other in cases if other is not case], cost)
        said = position(case.curve, threshold)
        verdicts.append(Verdict(case.target, said, case.answer, is_hit(said, case.answer, case.none), threshold))
    return tuple(verdicts)


def judge_fixed(said: Mapping[str, int], cases: Sequence[Case]) -> tuple[Verdict, ...]:
    """A rule without anything to fit."""
    return tuple(
        Verdict(case.target, said[case.target], case.answer, is_hit(said[case.target], case.answer, case.none))
        for case in cases
    )


def ranks(values: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    """Ranks from 1, ties share their mean.

    Example:
        >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place], dtype=float)


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Rank correlation; nan where one of them does not vary.

    Example:
        >>> spearman([1.0, 2.0, 3.0], [10.0, 30.0, 20.0])
        0.5
    """
    a, b = (ranks(np.asarray(part, dtype=float)) for part in (x, y))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return round(float(a @ b) / scale, 12) if scale > 0 else float("nan")


def bootstrap(
    values: Sequence[float], of: Callable[[Float[ndarray, " n"]], float] = np.mean, *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % limits of a statistic over targets drawn with replacement."""
    known = np.asarray(values, dtype=float)
    index = np.random.default_rng(seed).integers(0, len(known), (draws, len(known)))
    low, high = np.percentile([of(known[row]) for row in index], (2.5, 97.5))
    return float(low), float(high)
