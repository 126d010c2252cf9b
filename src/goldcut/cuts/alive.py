"""Which tensors are alive where: the graph theory behind a cut, and nothing about names."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import torch
from torch import fx

VIEWS = {
    *("view", "_unsafe_view", "view_as", "view_copy", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"),
    *("permute", "permute_copy", "transpose", "movedim", "t", "contiguous", "clone", "alias", "detach"),
    *("to", "_to_copy", "type_as", "lift_fresh", "lift_fresh_copy"),
    *("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"),
}
"""Operators that only arrange the same values anew; dropout is one of them in eval mode."""

NORMS = {
    *("batch_norm", "native_batch_norm", "_native_batch_norm_legit_no_training", "instance_norm", "group_norm"),
    *("native_group_norm", "layer_norm", "native_layer_norm", "rms_norm", "local_response_norm"),
}
"""Normalisations: they keep the number of values."""

POINTWISE = {"hardswish", "prelu", "rsub", "log_sigmoid"}
"""Element-wise operators that torch does not tag as such."""


@dataclass(frozen=True, eq=False)
class Flow:
    """The input-dependent part of a graph, in order.

    Attributes:
        nodes: Every node whose value depends on the image, the input first, the logits last. The batch size, weights
            and what is computed from them alone do not depend on the image.
        order: Index of each node in `nodes`.
    """

    nodes: tuple[fx.Node, ...]
    order: dict[fx.Node, int]

    def users(self, node: fx.Node) -> list[fx.Node]:
        """The nodes of the flow that take this node's value."""
        return [user for user in node.users if user in self.order]


def find_images(graph: fx.Graph) -> fx.Node:
    """The only placeholder."""
    placeholder: fx.Node = next(node for node in graph.nodes if node.op == "placeholder")
    return placeholder


def find_logits(graph: fx.Graph) -> fx.Node:
    """The node that the graph returns."""
    return graph.output_node().all_input_nodes[0]


def follow_input(graph: fx.Graph) -> Flow:
    """The flow from the only placeholder to the output."""
    images = find_images(graph)
    order: dict[fx.Node, int] = {}
    for node in graph.nodes:
        follows = node.op != "output" and any(argument in order for argument in node.all_input_nodes)
        if node is images or (follows and not is_batch_size(node, images)):
            order[node] = len(order)
    return Flow(tuple(order), order)


def is_batch_size(node: fx.Node, images: fx.Node) -> bool:
    """Whether the node reads the number of images and nothing else of them."""
    return node.target is torch.ops.aten.sym_size.int and node.args == (images, 0)


def find_dominators(flow: Flow) -> list[fx.Node]:
    """The nodes that every path from the input to the logits passes through, in order.

    Such a node is comparable with every other one, so in any topological order no edge jumps over it; and a node
    that no edge jumps over lies on every path. Hence one sweep, whatever the order.
    """
    found, reach = [], 0
    for index, node in enumerate(flow.nodes):
        if reach <= index:
            found.append(node)
        reach = max([reach, *(flow.order[user] for user in flow.users(node))])
    return found


def ancestors(nodes: Iterable[fx.Node], stop: Collection[fx.Node] = ()) -> set[fx.Node]:
    """The nodes and everything they are computed from, without going past the nodes of `stop`."""
    seen: set[fx.Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if node not in stop:
                stack.extend(node.all_input_nodes)
    return seen


def alive_after(flow: Flow, node: fx.Node) -> list[fx.Node]:
    """The tensors still to be used once the node and all it needs are computed."""
    done = ancestors([node])
    return [other for other in flow.nodes if other in done and any(user not in done for user in flow.users(other))]


def operator_name(node: fx.Node) -> str:
    """`relu` of `aten.relu.default`, `getitem` of a Python function."""
    schema = getattr(node.target, "_schema", None)
    return str(schema.name).partition("::")[2] if schema else getattr(node.target, "__name__", node.name)


def only_arranges(node: fx.Node) -> bool:
    """Whether the node holds the values of its argument in another form."""
    return operator_name(node) in VIEWS


def keeps_elements(node: fx.Node) -> bool:
    """Whether the node is element-wise, a normalisation, dropout, a view, or picks a tensor from such a result."""
    tags = getattr(node.target, "tags", ())
    name = operator_name(node)
    return torch.Tag.pointwise in tags or name in POINTWISE or name in VIEWS or name in NORMS or name == "getitem"
