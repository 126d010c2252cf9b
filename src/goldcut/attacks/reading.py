"""Everything that the attacks at a group of cuts need, from one pass of the edge over all images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from goldcut.attacks.base import Half, Sample, View
from goldcut.attacks.blank import Blank
from goldcut.attacks.features import Features, enlarge, read_features, read_pixels
from goldcut.attacks.layout import Layout, lay_out
from goldcut.attacks.masks import describe_mask, find_masks
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
    draws = plan.draws
    masks = find_masks(graph, plan.parts.selection, list(layouts), plan.device) if plan.stochastic else {}
    stores = {name: make(((draws + (name in doubled)) * n, *layout.shape)) for name, layout in layouts.items()}

    def read(images: Images, task: str, into: Mapping[str, Tensor], mirror: bool = False) -> Features:
        wanted = {name: layouts[name] for name in into}
        return read_features(
            graph,
            images,
            wanted,
            into,
            mirror=mirror,
            queries=plan.queries,
            masks=masks if plan.queries > 1 else None,
            logits=plan.logits,
            device=plan.device,
            task=task,
            progress=plan.progress,
        )

    def stored(images: Images) -> dict[str, Tensor]:
        return {name: make((len(images), *layout.shape)) for name, layout in layouts.items()}

    parts = plan.parts
    shown = [
        read(parts.training, "Z of the attacker's images", {name: z[k * n : (k + 1) * n] for name, z in stores.items()})
        for k in range(draws)
    ]
    flipped = None
    if doubled:
        last = {name: stores[name][draws * n :] for name in doubled}
        flipped = read(parts.training, "Z of them mirrored", last, mirror=True)
    selection = read(parts.selection, "Z of the selection images", stored(parts.selection))
    victims = read(parts.victims, "Z of the victims", stored(parts.victims))
    own, other = read_pixels(parts.training, plan.shape), read_pixels(parts.selection, plan.shape)
    own = own.repeat(draws, 1, 1, 1)
    both = torch.cat([own, own[:n].flip(3)]) if flipped else own
    labels, known = _joined(shown), _known(plan, parts.training)
    known_masks = {
        name: describe_mask(selection.z[name], share, plan.queries)
        for name, share in masks.items()
        if name in graph.sent
    }
    views = {
        name: View(
            training=Sample(
                own,
                stores[name][: draws * n],
                labels,
                None if known is None else np.tile(known, draws),
                {name: np.tile(values, draws) for name, values in parts.training.attributes.items()},
            ),
            selection=Sample(
                other,
                selection.z[name],
                selection.labels,
                _known(plan, parts.selection),
                parts.selection.attributes,
            ),
            mirrored=Sample(both, stores[name], _joined([*shown, flipped])) if flipped and name in doubled else None,
            kind=layouts[name].kind,
            query=_query(graph, name, layouts[name]),
            edge=_edge(graph, name, layouts[name], masked=name in known_masks),
            blank=_blank(graph, name, layouts[name], own, plan.device),
            cloud=_cloud(graph, name, layouts[name]),
            observed=victims.z[name],
            shelf=plan.shelf,
            device=plan.device,
            mask=known_masks.get(name),
        )
        for name in layouts
    }
    passes = [*shown, selection, victims, *([flipped] if flipped else [])]
    broken = {name: sum(one.broken.get(name, 0) for one in passes) for name in layouts}
    return Group(views, victims.z, victims.labels, broken, (monotonic() - started) / len(group))


def _joined(passes: Sequence[Features]) -> Int[np.ndarray, " n"] | None:
    labels = [one.labels for one in passes if one.labels is not None]
    return np.concatenate(labels) if len(labels) == len(passes) else None


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


def _edge(graph: CutGraph, name: str, layout: Layout, *, masked: bool) -> Half:
    """The edge half with its weights frozen, so that gradients go to the image and nowhere else; without its mask."""
    end = graph.node(name) if masked else graph.sent_node(name)
    half = _frozen(copy_part(graph.module, source=None, result=end))

    def edge(images: Tensor) -> Tensor:
        return layout(half(_at_size(images, graph))).float()

    return edge


def _blank(graph: CutGraph, name: str, layout: Layout, own: Tensor, device: str) -> Callable[[int], nn.Module]:
    """What builds the edge half's structure with weights from a seed; it sees the attacker's own images alone."""
    half = copy_part(graph.module, source=None, result=graph.sent_node(name))

    def blank(seed: int) -> nn.Module:
        return Blank(half, lambda images: _at_size(images, graph), layout, seed=seed).calibrated(own, device)

    return blank


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
