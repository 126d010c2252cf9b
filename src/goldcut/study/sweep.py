"""What an attacker with fewer images, or who sees an image fewer times, gets at the same cuts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from goldcut.attacks.leakage import Leakage
from goldcut.errors import DataError
from goldcut.records import SweepPoint
from goldcut.sources.images import Images, Parts

LEAST = 50
"""Images below which an attacker is not worth a point of a curve."""

Attempt = Callable[[Parts, int, str], Leakage]
"""Attack with these parts and so many queries; the name is that of a folder for what is finished."""


def sweep(
    parts: Parts, whole: Leakage, sizes: Sequence[int], queries: Sequence[int], seed: int, attempt: Attempt
) -> Iterator[tuple[SweepPoint, ...]]:
    """The points of the curves so far, again after each step of the sweep.

    Args:
        parts: All images of the attacker, and the victims.
        whole: What it gets with all images and the most queries.
        sizes: Numbers of images that an attacker has, those for selection included.
        queries: Numbers of queries; of no use where the edge is not stochastic.
        seed: Of the draw; fewer images are the first of more.
        attempt: Carries out the attacks.
    """
    points = list(_points(parts, whole))
    yield tuple(points)
    for size in sizes:
        fewer = fewer_images(parts, size, seed)
        points += _points(fewer, attempt(fewer, whole.queries, f"images-{size}"))
        yield tuple(points)
    for count in queries:
        if whole.stochastic and count < whole.queries:
            points += _points(parts, attempt(parts, count, f"queries-{count}"))
            yield tuple(points)


def check_sizes(parts: Parts, sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes in order, without those that are more than there is.

    Raises:
        DataError: A size too small to train anything on.
    """
    if small := [size for size in sizes if size < LEAST]:
        raise DataError(
            f"an attacker with {small[0]} images cannot train anything", f"Ask for {LEAST} or more in --aux-size."
        )
    return tuple(sorted({size for size in sizes if size < len(parts.training) + len(parts.selection)}))


def fewer_images(parts: Parts, size: int, seed: int) -> Parts:
    """The same victims, and an attacker with `size` images: nine tenths to learn from, the rest to choose by."""
    training = round(size * len(parts.training) / (len(parts.training) + len(parts.selection)))
    return replace(
        parts,
        training=_few(parts.training, training, seed),
        selection=_few(parts.selection, max(1, size - training), seed),
    )


def _few(images: Images, count: int, seed: int) -> Images:
    order = np.random.default_rng((seed, 31)).permutation(len(images))
    return images.subset(np.sort(order[:count]), images.part)


def _points(parts: Parts, leakage: Leakage) -> Iterator[SweepPoint]:
    for worst in leakage.worst:
        yield SweepPoint(
            cut=worst.cut,
            training_images=len(parts.training),
            queries=leakage.queries,
            attack=worst.attack,
            recovered=worst.recovered,
            recovered_low=worst.recovered_low,
            recovered_high=worst.recovered_high,
            converged=worst.converged,
        )
