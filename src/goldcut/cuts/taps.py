"""Reading Z at many cuts in one pass, inside the traced graph: no hooks, so nothing to remove."""

import operator
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx

from goldcut.cuts.graph import CutGraph


def read_cuts(graph: CutGraph, images: Tensor, names: Sequence[str], visit: Callable[[str, Tensor], object]) -> Tensor:
    """One inference pass that shows Z at each cut as soon as it is computed.

    The visits are part of the generated code, which is made once for each set of names, so the pass costs what the
    bare model costs; a tensor is freed after its last use. Without gradients; nothing is changed, on errors too.

    Args:
        graph: From find_cuts.
        images: (b, C, H, W) in [0, 1], on the device of the model.
        names: Cuts by name or alias; empty for a bare pass.
        visit: Called as visit(name, Z) with Z of shape (b, *cut.shape), in the order of the network. Z must not be
            written to: it is what the rest of the network computes with.

    Returns:
        The logits.
    """
    key = tuple(names)
    reader = graph.readers.get(key)
    if reader is None:
        reader = graph.readers[key] = make_reader(graph, names)
    with torch.no_grad():
        logits: Tensor = reader(images, visit)
    return logits


def make_reader(graph: CutGraph, names: Sequence[str]) -> fx.GraphModule:
    """The graph with a second input, the visitor, and a call of it after each cut."""
    shown: dict[str, list[str]] = {}
    for name in names:
        shown.setdefault(graph.sent_node(name).name, []).append(name)
    part = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.module.graph.nodes:
        copies[node] = part.node_copy(node, copies.__getitem__)
        if node.op == "placeholder":
            visitor = part.placeholder("visit")
        for name in shown.get(node.name, ()):
            part.call_function(operator.call, (visitor, name, copies[node]))
    return fx.GraphModule(graph.module, part, "Reader").eval()
