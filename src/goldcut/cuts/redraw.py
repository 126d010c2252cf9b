"""The structure of a part without its weights: what an attacker builds who knows the architecture and no more.

A traced graph is in eval mode for good. So that it can be trained again, its batch norms become modules with a
training mode and statistics of their own.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from goldcut.cuts.alive import NORMS, VIEWS, operator_name

PLACED_STD = 0.02
"""Deviation of what is placed or looked up: positions, class tokens (Dosovitskiy et al.: An Image is Worth 16x16
Words, 2021)."""

LEAK = 0.25
"""First slope of a PReLU (He, Zhang, Ren, Sun: Delving Deep into Rectifiers, 2015)."""

PLACES = {"add", "cat", "expand", "index", "embedding", "select", "slice", "repeat"}
"""Operators that place a parameter beside the image, or look it up."""

SCALES = {"mul", "div", "pow"}
"""Operators whose parameter with one value per channel is a scale."""

WEIGHT_THIRD = {"layer_norm", "native_layer_norm", "rms_norm", "group_norm"}
"""Normalisations whose weight is their third argument; it is the second of the others."""


class BatchNorm(_BatchNorm):
    """Batch norm over all axes but the second, whatever their number."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Every number of axes will do."""


def redraw(part: fx.GraphModule, *, seed: int) -> fx.GraphModule:
    """The same graph with parameters of its own, drawn by shape and use; nothing of the given weights is in it.

    Weights are drawn after He et al. (Delving Deep into Rectifiers, 2015), scales are 1, shifts 0, and the statistics
    of batch norms untouched until `calibrate`. Buffers that are no such statistics (the normalisation of the images,
    indices of positions, masks) belong to the structure and are copied.

    Args:
        part: A graph of ATen operators in eval mode; it stays as it is.
        seed: Of the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    held: dict[str, object] = {}
    drawn: dict[int, nn.Parameter] = {}
    norms: dict[object, str] = {}
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in part.graph.nodes:
        if _is_batch_norm(node):
            name = norms.setdefault(node.args[1:5], f"norm{len(norms)}")
            held.setdefault(name, _build_norm(node))
            copies[node] = graph.call_module(name, (copies[node.args[0]],))
        elif node.op == "call_function" and operator_name(node) == "getitem" and _is_batch_norm(node.args[0]):
            copies[node] = copies[node.args[0]]  # the first of a tuple; the statistics behind it have no users
        elif node.op == "get_attr" and node.users and all(_is_batch_norm(user) for user in node.users):
            continue
        else:
            copies[node] = graph.node_copy(node, copies.__getitem__)
            if node.op == "call_module":  # a defence: part of what is known of the edge
                held[node.target] = part.get_submodule(node.target)
            if node.op == "get_attr":
                held[node.target] = _replace(_attribute(part, node.target), node, drawn, generator)
    return fx.GraphModule(held, graph, f"Untrained{type(part).__name__}")


def calibrate(part: nn.Module, images: Float[Tensor, "b c h w"]) -> None:
    """Set the statistics of all batch norms to those of a batch, from the first one on, and switch to eval mode."""
    norms = [module for module in part.modules() if isinstance(module, BatchNorm)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    part.train()
    with torch.no_grad():
        part(images)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    part.eval()


def _is_batch_norm(node: object) -> bool:
    """Whether a node normalises by statistics that were kept while training."""
    if not isinstance(node, fx.Node) or node.op != "call_function":
        return False
    name = operator_name(node)
    if name == "instance_norm":
        return node.args[3] is not None and node.args[5] is False
    return name in ("batch_norm", "native_batch_norm", "_native_batch_norm_legit_no_training") and (
        node.args[3] is not None
    )


def _build_norm(node: fx.Node) -> BatchNorm:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    value: Tensor = source.meta["val"]
    eps: Any = node.args[6 if operator_name(node) == "_native_batch_norm_legit_no_training" else 7]
    return BatchNorm(value.shape[1], eps=eps, affine=node.args[1] is not None, device=_device(node))


def _device(node: fx.Node) -> torch.device:
    value = node.meta["val"]
    first: Tensor = value[0] if isinstance(value, tuple | list) else value
    return first.device


def _attribute(part: nn.Module, target: str) -> object:
    owner, _, name = target.rpartition(".")
    return getattr(part.get_submodule(owner), name)


def _replace(value: object, node: fx.Node, drawn: dict[int, nn.Parameter], generator: torch.Generator) -> object:
    """A parameter drawn anew (one that is used under two names stays one), or a copy of what is no parameter."""
    if not isinstance(value, nn.Parameter) or not value.is_floating_point():
        return value.detach().clone() if isinstance(value, Tensor) else value
    if id(value) not in drawn:
        fresh = _draw(value.shape, *_use(node), generator)
        drawn[id(value)] = nn.Parameter(fresh.to(value.device, value.dtype))
    return drawn[id(value)]


def _use(node: fx.Node) -> tuple[str, int]:
    """The operator that uses a parameter first, and as which of its arguments."""
    user = next(iter(node.users))
    while operator_name(user) in VIEWS and user.users:
        node, user = user, next(iter(user.users))
    return operator_name(user), next((place for place, argument in enumerate(user.args) if argument is node), 0)


def _draw(shape: torch.Size, operator: str, place: int, generator: torch.Generator) -> Tensor:
    """First values of a parameter of this shape that an operator takes as its argument number `place`."""
    if operator == "prelu":
        return torch.full(shape, LEAK)
    flat = math.prod(shape) == max(shape, default=1)
    weight_of_norm = operator in NORMS and place == (2 if operator in WEIGHT_THIRD else 1)
    if weight_of_norm or (flat and operator in SCALES):
        return torch.ones(shape)
    if len(shape) < 2:
        return torch.zeros(shape)
    std = PLACED_STD if operator in PLACES else math.sqrt(2 / math.prod(shape[1:]))
    return std * torch.randn(shape, generator=generator)
