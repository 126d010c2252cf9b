"""Relative drops in a curve over the cuts."""

from collections.abc import Sequence
from itertools import pairwise


def relative_drops(curve: Sequence[float]) -> tuple[float, ...]:
    """(previous - next) / previous for each step of a curve; 0 after a 0. Negative where it rises.

    Example:
        >>> relative_drops([8.0, 4.0, 5.0])
        (0.5, -0.25)
    """
    return tuple((before - after) / before if before else 0.0 for before, after in pairwise(curve))
