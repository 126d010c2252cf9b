"""Everything that the attacks at a group of cuts need, from one pass of the edge over all images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from goldcut.attacks.base import Half, Sample, View
from goldcut.attacks.features import Features, enlarge, read_features, read_pixels
from goldcut.attacks.layout import Layout, lay_out
from goldcut.attacks.plan import Plan
from goldcut.cuts import CutGraph, read_cuts
from goldcut.cuts.split import copy_part, split_at
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
            training=Sample(own, training.z[name], training.labels, _known(plan, parts.training)),
            selection=Sample(other, selection.z[name], selection.labels, _known(plan, parts.selection)),
            mirrored=Sample(both, stores[name], _joined(training, flipped)) if flipped and name in doubled else None,
            kind=layouts[name].kind,
            query=_query(graph, name, layouts[name]),
            edge=_edge(graph, name, layouts[name]),
            cloud=_cloud(graph, name, layouts[name]),
            observed=victims.z[name],
            shelf=plan.shelf,
            device=plan.device,
        )
        for name in layouts
    }
    passes = [training, selection, victims, *([flipped] if flipped else [])]
    broken = {name: sum(one.broken.get(name, 0) for one in passes) for name in layouts}
    return Group(views, victims.z, victims.labels, broken, (monotonic() - started) / len(group))


def _joined(first: Features, second: Features) -> Int[np.ndarray, " n"] | None:
    return None if first.labels is None or second.labels is None else np.concatenate([first.labels, second.labels])


def _known(plan: Plan, images: Images) -> Int[np.ndarray, " n"] | None:
    """Labels of the attacker's images, where they are the classes that the victims have."""
    classes = plan.parts.victims.classes
    return images.labels if len(classes) > 1 and images.classes == classes else None


def _query(graph: CutGraph, name: str, layout: Layout) -> Half:
    def query(images: Tensor) -> Tensor:
        seen: list[Tensor] = []
        read_cuts(graph, _at_size(images, graph), [name], lambda _, z: seen.append(layout(z).float()))
        return seen[0]

    return query


def _edge(graph: CutGraph, name: str, layout: Layout) -> Half:
    """The edge half with its weights frozen, so that gradients go to the image and nowhere else."""
    half = _frozen(copy_part(graph.module, source=None, result=graph.node(name)))

    def edge(images: Tensor) -> Tensor:
        return layout(half(_at_size(images, graph))).float()

    return edge


def _cloud(graph: CutGraph, name: str, layout: Layout) -> Half:
    if graph.cut(name).level == "output":
        return layout.undo
    half = _frozen(split_at(graph, name).cloud)

    def cloud(z: Tensor) -> Tensor:
        logits: Tensor = half(layout.undo(z))
        return logits

    return cloud


def _frozen(half: nn.Module) -> nn.Module:
    """The same weights without gradients; the module that they came from keeps its own."""
    for owner in half.modules():
        for name, weight in list(owner.named_parameters(recurse=False)):
            setattr(owner, name, nn.Parameter(weight.detach(), requires_grad=False))
    return half


def _at_size(images: Tensor, graph: CutGraph) -> Tensor:
    return images if images.shape[1:] == graph.input_shape else enlarge(images, graph.input_shape)
