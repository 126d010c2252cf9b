"""The two halves of a model at a cut: cloud(edge(x)) == model(x)."""

from dataclasses import dataclass

import torch
from torch import Tensor, fx

from goldcut.cuts.alive import ancestors, find_images, find_logits
from goldcut.cuts.graph import CutGraph
from goldcut.cuts.taps import read_cuts
from goldcut.errors import ModelError
from goldcut.records import Cut

TOLERANCE = 1e-4
"""Largest difference accepted, relative to the standard deviation of the tensor compared."""

FAINT = 1e-6
"""Logits that vary less than this from image to image, relative to their size or to 1, cannot show a difference."""


@dataclass(frozen=True)
class Split:
    """A model in two halves; each holds, by reference, only the weights it uses.

    Attributes:
        edge: Images (b, C, H, W) -> Z (b, *cut.shape), for any batch size.
        cloud: Z -> logits.
        cut: Where they meet.
    """

    edge: fx.GraphModule
    cloud: fx.GraphModule
    cut: Cut


def split_at(graph: CutGraph, name: str) -> Split:
    """The halves at a cut, by name or alias.

    Args:
        graph: From find_cuts.
        name: Any cut but the output, whose cloud half would be the identity.

    Raises:
        ModelError: There is no such cut, or it is the output.
    """
    cut = graph.cut(name)
    if cut.level == "output":
        raise ModelError("a cut at the output leaves nothing to the cloud", "Choose a cut before it.")
    z, logits = graph.node(name), find_logits(graph.module.graph)
    edge = copy_part(graph.module, source=None, result=graph.sent_node(name))
    cloud = copy_part(graph.module, source=z, result=logits)
    return Split(edge, cloud, cut)


def copy_part(module: fx.GraphModule, *, source: fx.Node | None, result: fx.Node) -> fx.GraphModule:
    """The nodes from a source (None: the images) to a result as a module of their own."""
    needed = ancestors([result], stop=() if source is None else (source,))
    images = find_images(module.graph)
    part = fx.Graph()
    start = source or images
    entry = part.placeholder("x" if source is None else "z")
    entry.meta = dict(start.meta)
    copies = {start: entry, images: entry}  # the cloud half reads the batch size from Z
    for node in module.graph.nodes:
        if node in needed and node not in copies:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(copies[result])
    return fx.GraphModule(module, part, "Edge" if source is None else "Cloud").eval()


def verify_split(split: Split, graph: CutGraph, images: Tensor) -> float:
    """Compare the halves with the whole on images: Z, then the logits.

    Args:
        split: From split_at.
        graph: The graph it was split from.
        images: (b, C, H, W) in [0, 1], on the device of the model.

    Returns:
        The largest absolute difference between the logits.

    Raises:
        ModelError: They differ by more than 1e-4 of their standard deviation, or the logits hardly depend on the
            images, so that the comparison would show nothing.
    """
    seen: dict[str, Tensor] = {}
    logits = read_cuts(graph, images, [split.cut.name], seen.__setitem__)
    with torch.no_grad():
        z = split.edge(images)
        answer = split.cloud(z)
    spread = float(logits.std(0).mean() if len(logits) > 1 else logits.std())
    if not spread > FAINT * max(1.0, float(logits.abs().max())):
        raise ModelError(
            f"the logits hardly depend on the images (deviation {spread:.1e}), so a wrong split would not show",
            "Load trained weights, or give images that differ.",
        )
    for what, ours, whole in (("Z", z, seen[split.cut.name]), ("the logits", answer, logits)):
        scale = max(float(whole.float().std()), FAINT)
        if ours.shape != whole.shape or float((ours - whole).abs().max()) > TOLERANCE * scale:
            raise ModelError(
                f"the halves at {split.cut.name} do not give the same as the whole model: {what} differ",
                "Check that the model gives the same answer twice (no random operators in eval mode).",
            )
    return float((answer - logits).abs().max())
