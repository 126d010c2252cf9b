"""The scale of a defence: the same images set it for an audit and for an export."""

from collections.abc import Sequence

import numpy as np
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
        images: The scanned images; the first few set the scale.
        defense: To be built.
        device: Where the model is.
        seed: Of what the defence draws.
    """
    built: dict[str, nn.Module] = {}

    def build(name: str, z: Tensor) -> None:
        built[name] = defense.build(z, seed)

    read_cuts(graph, images.batch(np.arange(min(CALIBRATION, len(images)))).to(device), names, build)
    return built
