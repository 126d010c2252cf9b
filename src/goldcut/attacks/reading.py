"""Everything that the attacks at a group of cuts need, from one pass of the edge over all images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from goldcut.attacks.base import Query, Sample, View
from goldcut.attacks.features import Features, read_features, read_pixels
from goldcut.attacks.layout import Layout, lay_out
from goldcut.attacks.plan import Plan
from goldcut.cuts import CutGraph, read_cuts
from goldcut.records import Cut
from goldcut.sources.images import Images


@dataclass(frozen=True, eq=False)
class Group:
    """Cuts that are attacked together.

    Attributes:
        views: What an attacker is granted at each cut.
        z: Z of the victims at each cut.
        labels: Label that the model predicts for each victim; None without logits.
        broken: Images whose Z is not finite, at each cut.
        seconds: What the reading took, per cut.
    """

    views: Mapping[str, View]
    z: Mapping[str, Tensor]
    labels: Int[np.ndarray, " n"] | None
    broken: Mapping[str, int]
    seconds: float


def read_group(graph: CutGraph, plan: Plan, group: Sequence[Cut], make: Callable[[tuple[int, ...]], Tensor]) -> Group:
    """Read Z of all parts at the cuts; training images also mirrored where the plan says so.

    Args:
        graph: From find_cuts.
        plan: The parts and where to compute.
        group: The cuts.
        make: Makes the float32 arrays that hold Z.
    """
    started = monotonic()
    layouts = {cut.name: lay_out(cut, graph.cuts) for cut in group}
    doubled = {cut.name: layouts[cut.name] for cut in group if plan.has_mirrored(cut)}
    n = len(plan.parts.training)
    stores = {name: make(((1 + (name in doubled)) * n, *layout.shape)) for name, layout in layouts.items()}

    def read(images: Images, task: str, into: Mapping[str, Tensor], mirror: bool = False) -> Features:
        wanted = {name: layouts[name] for name in into}
        return read_features(
            graph,
            images,
            wanted,
            into,
            mirror=mirror,
            logits=plan.logits,
            device=plan.device,
            task=task,
            progress=plan.progress,
        )

    def stored(images: Images) -> dict[str, Tensor]:
        return {name: make((len(images), *layout.shape)) for name, layout in layouts.items()}

    parts = plan.parts
    training = read(parts.training, "Z of the attacker's images", {name: z[:n] for name, z in stores.items()})
    flipped = None
    if doubled:
        flipped = read(parts.training, "Z of them mirrored", {name: stores[name][n:] for name in doubled}, mirror=True)
    selection = read(parts.selection, "Z of the selection images", stored(parts.selection))
    victims = read(parts.victims, "Z of the victims", stored(parts.victims))
    own, other = read_pixels(parts.training, plan.shape), read_pixels(parts.selection, plan.shape)
    both = torch.cat([own, own.flip(3)]) if flipped else own
    views = {
        name: View(
            training=Sample(own, training.z[name], training.labels),
            selection=Sample(other, selection.z[name], selection.labels),
            mirrored=Sample(both, stores[name], _joined(training, flipped)) if flipped and name in doubled else None,
            kind=layouts[name].kind,
            query=_query(graph, name, layouts[name]),
            device=plan.device,
        )
        for name in layouts
    }
    passes = [training, selection, victims, *([flipped] if flipped else [])]
    broken = {name: sum(one.broken.get(name, 0) for one in passes) for name in layouts}
    return Group(views, victims.z, victims.labels, broken, (monotonic() - started) / len(group))


def _joined(first: Features, second: Features) -> Int[np.ndarray, " n"] | None:
    return None if first.labels is None or second.labels is None else np.concatenate([first.labels, second.labels])


def _query(graph: CutGraph, name: str, layout: Layout) -> Query:
    def query(images: Tensor) -> Tensor:
        seen: list[Tensor] = []
        read_cuts(graph, images, [name], lambda _, z: seen.append(layout(z).float()))
        return seen[0]

    return query
