"""Effective rank of Z: in how many directions it varies, from a Gram matrix of some images.

(tr S)^2 / tr(S^2), S the covariance of Z: the participation ratio of its eigenvalues (P. Gao et al.,
"A theory of multineuronal dimensionality, dynamics and measurement", 2017). At most images - 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.taps import read_cuts
from goldcut.errors import BudgetError
from goldcut.probe.budget import image_bytes
from goldcut.progress import Progress, silent
from goldcut.records import Cut
from goldcut.sources.images import Images

IMAGES = 1000
"""Most images behind an effective rank."""

PASSES = 8
"""Most passes over those images; where memory asks for more, fewer images are used at every cut."""

BANDS = 4
"""Row bands of the Gram matrix; only its upper half is computed."""


def effective_rank(z: Float[Tensor, "n d"]) -> float | None:
    """(tr S)^2 / tr(S^2) of the covariance S; None when Z does not vary. Centres `z` in place.

    Example:
        >>> round(effective_rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 6)
        2.0
    """
    level = z.square().mean().item()
    z -= z.mean(0)
    variance = z.square().mean().item()
    if variance <= 1e-12 * level or variance == 0:
        return None
    z /= variance**0.5
    rows = z if z.shape[0] <= z.shape[1] else z.T
    band = -(-len(rows) // BANDS)
    trace = squares = 0.0
    for start in range(0, len(rows), band):
        block = (rows[start : start + band] @ rows[start:].T).double()
        own = block[:, : len(block)]
        trace += own.diagonal().sum().item()
        squares += own.square().sum().item() + 2 * block[:, len(block) :].square().sum().item()
    return trace**2 / squares


@dataclass(frozen=True)
class Ranks:
    """Effective rank of each cut, all from the same images.

    Attributes:
        by_cut: Name of the cut to its rank; None where Z does not vary.
        images: Number of images; no rank can exceed it less one.
    """

    by_cut: dict[str, float | None]
    images: int


def effective_ranks(
    graph: CutGraph,
    images: Images,
    cuts: Sequence[Cut],
    *,
    batch_size: int = 128,
    device: str = "cpu",
    memory_bytes: int = 2**32,
    seed: int = 0,
    progress: Progress = silent,
) -> Ranks:
    """Effective rank at every cut, holding as many cuts at a time as memory allows.

    All cuts use the same images, since a rank from more images is larger: fewer than IMAGES where
    one cut would not fit the memory or PASSES passes would not do.

    Args:
        graph: The traced model, already on `device`.
        images: Drawn from by seed.
        cuts: What is measured.
        batch_size: Most images at a time; a batch takes at most a quarter of the memory.
        device: Where the model is, and Z is held.
        memory_bytes: Most bytes for a batch and the Z that are held.
        seed: Draws the images.
        progress: Told how many cuts are done.

    Raises:
        BudgetError: Fewer than 3 images fit.
    """
    image = image_bytes(graph)
    batch_size = max(1, min(batch_size, memory_bytes // 4 // image))
    memory_bytes -= batch_size * image
    n = _images_that_fit(len(images), [cut.elements for cut in cuts], memory_bytes)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:n])
    by_cut: dict[str, float | None] = {}
    for group in _groups(cuts, memory_bytes // (4 * n)):
        held = {cut.name: torch.empty(n, cut.elements, device=device) for cut in group}
        for start in range(0, n, batch_size):
            index = chosen[start : start + batch_size]

            def keep(name: str, z: Tensor, start: int = start) -> None:
                held[name][start : start + len(z)] = z.flatten(1)  # noqa: B023

            read_cuts(graph, images.batch(index).to(device), tuple(held), keep)
        for name in tuple(held):
            by_cut[name] = effective_rank(held.pop(name))
            progress("effective rank", len(by_cut), len(cuts))
    return Ranks(by_cut, n)


def _images_that_fit(available: int, elements: Sequence[int], memory_bytes: int) -> int:
    numbers = memory_bytes // 4
    n = min(IMAGES, available, numbers // max(elements), PASSES * numbers // sum(elements))
    if n < 3:
        raise BudgetError(
            f"an effective rank needs 3 images at a time, {memory_bytes / 1e9:.2f} GB hold {n}",
            f"Give --memory {12 * max(elements) / 1e9 + 0.1:.1f}G.",
        )
    return n


def _groups(cuts: Sequence[Cut], elements: int) -> Iterator[tuple[Cut, ...]]:
    """Neighbouring cuts packed so that each group has at most `elements` elements an image."""
    group: list[Cut] = []
    for cut in cuts:
        if group and sum(each.elements for each in group) + cut.elements > elements:
            yield tuple(group)
            group = []
        group.append(cut)
    yield tuple(group)
