"""What needs Z of some images at once: its effective rank, and how far it depends on the image."""

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
from goldcut.probe.dependence import IMAGES as COMPARED
from goldcut.probe.dependence import image_dependence
from goldcut.probe.moments import Layout
from goldcut.probe.rank import effective_rank
from goldcut.progress import Progress, silent
from goldcut.records import Cut
from goldcut.sources.images import Images

IMAGES = 1000
"""Most images behind an effective rank."""

PASSES = 8
"""Most passes over those images; where memory asks for more, fewer images are used at every cut."""


@dataclass(frozen=True)
class Sample:
    """What is measured on a few images, the same ones at every cut.

    Attributes:
        ranks: Name of the cut -> effective rank; None where Z does not vary.
        dependence: Name of the cut -> image_dependence; None where Z does not vary.
        images: Number of images; no rank can exceed it less one.
        compared: Number of those behind the dependence.
    """

    ranks: dict[str, float | None]
    dependence: dict[str, Float[np.ndarray, " views"] | None]
    images: int
    compared: int


def measure_sample(
    graph: CutGraph,
    images: Images,
    cuts: Sequence[Cut],
    *,
    batch_size: int = 128,
    device: str = "cpu",
    memory_bytes: int = 2**32,
    seed: int = 0,
    progress: Progress = silent,
) -> Sample:
    """Effective rank and dependence on the image at every cut, holding as many cuts at a time as memory allows.

    All cuts use the same images, since a rank from more images is larger, and a dependence smaller: fewer than
    IMAGES where one cut would not fit the memory or PASSES passes would not do.

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
    drawn = np.random.default_rng(seed).permutation(len(images))
    chosen = np.sort(drawn[:n])
    compared = torch.from_numpy(np.flatnonzero(np.isin(chosen, drawn[:COMPARED])))
    pictures = images.batch(chosen[compared.numpy()]).flatten(1).to(device)
    found = Sample({}, {}, n, len(compared))
    for group in _groups(cuts, memory_bytes // (4 * n)):
        held = {cut.name: torch.empty(n, cut.elements, device=device) for cut in group}
        for start in range(0, n, batch_size):
            index = chosen[start : start + batch_size]

            def keep(name: str, z: Tensor, start: int = start) -> None:
                held[name][start : start + len(z)] = z.flatten(1)  # noqa: B023

            read_cuts(graph, images.batch(index).to(device), tuple(held), keep)
        for name in tuple(held):
            z = held.pop(name)
            found.ranks[name] = effective_rank(z)
            few = z if len(compared) == n else z[compared.to(z.device)]
            found.dependence[name] = image_dependence(pictures, few, Layout.of(graph.cut(name)))
            progress("statistics of a sample", len(found.ranks), len(cuts))
    return found


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
