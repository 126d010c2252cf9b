"""The scale of a defence: the same images set it for an audit and for an export."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64
from torch import Tensor, nn

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.taps import read_cuts
from goldcut.defenses.base import CALIBRATION, Defense
from goldcut.sources.images import Images


def build_at(
    graph: CutGraph, names: Sequence[str], images: Images, defense: Defense, *, device: str = "cpu", seed: int = 0
) -> dict[str, nn.Module]:
    """By cut, the module that a defence is there.

    Args:
        graph: From find_cuts.
        names: Of the cuts.
        images: The scanned images; some of them set the scale.
        defense: To be built.
        device: Where the model is.
        seed: Of what the defence draws.
    """
    built: dict[str, nn.Module] = {}

    def build(name: str, z: Tensor) -> None:
        built[name] = defense.build(z, seed)

    read_cuts(graph, images.batch(calibration_rows(len(images))).to(device), names, build)
    return built


def calibration_rows(images: int) -> Int64[np.ndarray, " n"]:
    """Which images set the scale: evenly spread, since the first few are of one class where a folder is a class.

    Example:
        >>> calibration_rows(3).tolist(), len(calibration_rows(10_000)), calibration_rows(10_000).max().item()
        ([0, 1, 2], 256, 9999)
    """
    return np.linspace(0, images - 1, min(CALIBRATION, images)).astype(np.int64)
