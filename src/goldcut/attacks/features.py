"""One pass of the edge for many cuts: Z of all images, in memory while it fits, else on disk."""

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from goldcut.attacks.layout import Layout
from goldcut.cuts import CutGraph, read_cuts
from goldcut.progress import Progress
from goldcut.records import Cut
from goldcut.sources.images import Images

LARGEST = 64
"""Longest side in pixels at which attacks work; larger images are averaged down to it."""

_BATCH = 128


@dataclass(frozen=True, eq=False)
class Features:
    """Z of one part of the images.

    Attributes:
        z: By cut, (n, *layout.shape) float32.
        labels: Label that the model predicts; None without logits.
        broken: By cut, how many images have values of Z that are not finite.
    """

    z: Mapping[str, Float[Tensor, "n ..."]]
    labels: Int[np.ndarray, " n"] | None
    broken: Mapping[str, int]


def group_cuts(cuts: Sequence[Cut], bytes_of: Callable[[Cut], int], memory_bytes: int) -> list[tuple[Cut, ...]]:
    """Cuts in order, as many together as have their Z in memory; a cut that is too large alone is alone.

    Args:
        cuts: In order.
        bytes_of: Bytes of all Z of a cut.
        memory_bytes: For Z of a group, as float32.
    """
    groups: list[list[Cut]] = []
    free = 0
    for cut in cuts:
        needed = bytes_of(cut)
        if not groups or needed > free:
            groups.append([])
            free = memory_bytes
        groups[-1].append(cut)
        free -= needed
    return [tuple(group) for group in groups]


def storage(folder: Path | None) -> Callable[[tuple[int, ...]], Tensor]:
    """What makes float32 arrays: in memory, or in files of a folder that are gone when the arrays are."""
    if folder is None:
        return lambda shape: torch.empty(shape)
    folder.mkdir(parents=True, exist_ok=True)

    def on_disk(shape: tuple[int, ...]) -> Tensor:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".features.")
        os.close(handle)
        array = np.memmap(name, dtype=np.float32, mode="w+", shape=shape)
        os.unlink(name)  # the pages live as long as the array: nothing stays behind, even after kill -9
        return torch.from_numpy(array)

    return on_disk


def read_features(
    graph: CutGraph,
    images: Images,
    layouts: Mapping[str, Layout],
    into: Mapping[str, Float[Tensor, "n ..."]],
    *,
    mirror: bool = False,
    queries: int = 1,
    masks: Mapping[str, float] | None = None,
    logits: bool,
    device: str,
    task: str,
    progress: Progress,
) -> Features:
    """Z of the images at all cuts of `layouts`, in one pass.

    Args:
        graph: From find_cuts; its model is on the device.
        images: One part.
        layouts: By cut name, the arrangement to store.
        into: By cut name, where to write Z.
        mirror: Whether the images are mirrored left to right first.
        queries: Passes of each image, whose Z are averaged; more than one tells more only of a stochastic edge.
        masks: By cut name, the share of elements that a mask lets through (see masks.find_masks); what came is then
            averaged over the passes at which it came.
        logits: Whether the output is logits, whose largest is the predicted label.
        device: Where the model is.
        task: Name for the progress.
        progress: Told the images.
    """
    names, shares = list(layouts), masks or {}
    labels = np.empty(len(images), dtype=np.int64)
    broken = dict.fromkeys(names, 0)
    for start in range(0, len(images), _BATCH):
        part = slice(start, min(start + _BATCH, len(images)))

        came: dict[str, Tensor] = {}

        def first(name: str, value: Tensor, part: slice = part, came: dict[str, Tensor] = came) -> None:
            seen = into[name][part] = layouts[name](value).float().cpu()
            if name in shares:
                came[name] = (seen != 0).float()

        def again(name: str, value: Tensor, part: slice = part, came: dict[str, Tensor] = came) -> None:
            seen = layouts[name](value).float().cpu()
            into[name][part] += seen
            if name in shares:
                came[name] += seen != 0

        batch = images.batch(np.arange(part.start, part.stop)).to(device)
        batch = batch.flip(3) if mirror else batch
        output = read_cuts(graph, batch, names, first)
        for _ in range(1, queries):
            output = output + read_cuts(graph, batch, names, again)
        for name in names:
            seen = into[name][part]
            if name in shares:
                seen.mul_(shares[name]).div_(came[name].clamp_min_(1))
            else:
                seen.div_(queries)
            broken[name] += int((~torch.isfinite(seen).flatten(1).all(dim=1)).sum())
        if logits:
            labels[part] = output.flatten(1).argmax(dim=1).cpu().numpy()
        progress(task, part.stop, len(images))
    return Features(into, labels if logits else None, broken)


def is_stochastic(graph: CutGraph, images: Images, device: str) -> bool:
    """Whether the model answers a few images differently when it is asked again, at any cut."""
    batch = images.batch(np.arange(min(4, len(images)))).to(device)
    names = [cut.name for cut in graph.cuts]
    before: dict[str, Tensor] = {}
    read_cuts(graph, batch, names, before.__setitem__)
    differing: list[str] = []

    def compare(name: str, z: Tensor) -> None:
        if not torch.equal(before[name], z) and not torch.isnan(z).any():
            differing.append(name)

    read_cuts(graph, batch, names, compare)
    return bool(differing)


def attack_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """(C, H, W) at which images of a shape are attacked: themselves, or with the longer side 64.

    Example:
        >>> attack_shape((3, 224, 160)), attack_shape((1, 28, 28))
        ((3, 64, 46), (1, 28, 28))
    """
    channels, height, width = shape
    longest = max(height, width)
    if longest <= LARGEST:
        return shape
    return channels, math.ceil(height * LARGEST / longest), math.ceil(width * LARGEST / longest)


def shrink(images: Float[Tensor, "n c h w"], shape: tuple[int, int, int]) -> Float[Tensor, "n c height width"]:
    """Images averaged down over areas; unchanged where they have the shape already."""
    return images if images.shape[1:] == shape else functional.adaptive_avg_pool2d(images, shape[1:])


def enlarge(images: Float[Tensor, "n c h w"], shape: tuple[int, int, int]) -> Float[Tensor, "n c height width"]:
    """Images brought up by bicubic interpolation, clipped to [0, 1]."""
    return functional.interpolate(images, size=shape[1:], mode="bicubic", antialias=False).clamp(0, 1)


def read_pixels(images: Images, shape: tuple[int, int, int]) -> Tensor:
    """All images at the size of the attack, as uint8: an error of 1e-6 in mse, for a quarter of the memory."""
    kept = torch.empty((len(images), *shape), dtype=torch.uint8)
    for start in range(0, len(images), _BATCH):
        part = np.arange(start, min(start + _BATCH, len(images)))
        kept[start : start + len(part)] = (shrink(images.batch(part), shape) * 255).round().to(torch.uint8)
    return kept
