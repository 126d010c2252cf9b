"""The graph that a run is about: the model's own, with the defence of the run at every cut."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from goldcut.cuts.defended import attach
from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.cuts.split import split_at
from goldcut.cuts.taps import read_cuts
from goldcut.defenses.calibration import build_at
from goldcut.defenses.suite import read_defense
from goldcut.progress import Progress, silent
from goldcut.records import Cut
from goldcut.sources.images import Images
from goldcut.sources.models import Target

BATCH_SIZE = 128


def open_graph(target: Target, images: Images, defense: str | None, *, device: str = "cpu", seed: int = 0) -> CutGraph:
    """The cuts of a model, with a defence at each of them where one is named.

    Args:
        target: The model.
        images: The scanned images; some of them set the scale.
        defense: Such as "noise:0.3".
        device: Where the model runs.
        seed: Of what the defence draws.

    Raises:
        GoldcutError: The model has no cut, or there is no such defence.
    """
    graph = find_cuts(target.model.to(device), target.input_shape)
    if defense is None:
        return graph
    chosen = read_defense(defense)
    names = [cut.name for cut in graph.cuts]
    return attach(graph, build_at(graph, names, images, chosen, device=device, seed=seed), chosen.spec)


def defended_accuracies(
    graph: CutGraph, cuts: Sequence[Cut], images: Images, *, device: str = "cpu", progress: Progress = silent
) -> dict[str, float]:
    """By cut, how often the cloud half is right about what is sent there.

    Args:
        graph: From open_graph.
        cuts: Of the graph.
        images: With the labels of the model's classes.
        device: Where the model is.
        progress: Told the images.
    """
    clouds = {cut.name: split_at(graph, cut.name).cloud for cut in cuts if cut.level != "output"}
    right = dict.fromkeys((cut.name for cut in cuts), 0)
    for start in range(0, len(images), BATCH_SIZE):
        index = np.arange(start, min(start + BATCH_SIZE, len(images)))
        labels = torch.from_numpy(images.labels[index])

        def answer(name: str, z: Tensor, labels: Tensor = labels) -> None:
            logits = clouds[name](z) if name in clouds else z
            right[name] += int((logits.flatten(1).argmax(1).cpu() == labels).sum())

        read_cuts(graph, images.batch(index).to(device), list(right), answer)
        progress("accuracy behind the defence", int(index[-1]) + 1, len(images))
    return {name: count / len(images) for name, count in right.items()}
