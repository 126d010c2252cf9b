"""What the axes of Z mean: a map, tokens, or a vector."""

import math

from torch import Tensor, fx

from goldcut.cuts.alive import Flow, operator_name
from goldcut.records import Kind

CHANNELS_FIRST = {
    *("conv2d", "convolution", "conv_transpose2d", "batch_norm", "_native_batch_norm_legit_no_training"),
    *("native_batch_norm", "group_norm", "native_group_norm", "instance_norm", "max_pool2d"),
    *("max_pool2d_with_indices", "avg_pool2d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d"),
    *("upsample_nearest2d", "upsample_bilinear2d", "pixel_shuffle", "pixel_unshuffle"),
}
"""Operators on (b, C, H, W)."""

CHANNELS_LAST = {"linear", "layer_norm", "native_layer_norm", "rms_norm"}
"""Operators on (b, H, W, C)."""


def sample_shape(node: fx.Node) -> tuple[int, ...]:
    """Shape of one image's Z."""
    return tuple(int(size) for size in node.meta["val"].shape[1:])


def count_elements(node: fx.Node) -> int:
    """Number of elements of one image's Z."""
    return math.prod(sample_shape(node))


def find_kinds(flow: Flow) -> dict[fx.Node, Kind]:
    """The kind of every tensor of the flow, as find_cuts describes it.

    Whether the channels of a 4-D tensor come first or last follows from the operators that made it, else from those
    that take it; where neither say, first.
    """
    maps = [node for node in flow.nodes if isinstance(v := node.meta.get("val"), Tensor) and v.ndim == 4]
    axes: dict[fx.Node, int | None] = {}
    for node in maps:
        axes[node] = made_with(node, [axis for a in node.all_input_nodes if (axis := axes.get(a)) is not None])
    for node in reversed(maps):
        if axes[node] is None:
            axes[node] = next((axis for user in node.users if (axis := taken_with(user, axes)) is not None), None)
    return {
        node: kind_of(v.ndim, axes.get(node)) for node in flow.nodes if isinstance(v := node.meta.get("val"), Tensor)
    }


def kind_of(dimensions: int, channel_axis: int | None) -> Kind:
    """The kind of a tensor with the batch as one of its dimensions."""
    if dimensions == 4:
        return "tokens" if channel_axis == 3 else "map"
    return "tokens" if dimensions == 3 else "vector"


def made_with(node: fx.Node, before: list[int]) -> int | None:
    """Which axis of a 4-D tensor holds the channels, given that of the 4-D tensors it is computed from."""
    name = operator_name(node)
    if node.op == "placeholder" or name in CHANNELS_FIRST:
        return 1
    if name in CHANNELS_LAST:
        return 3
    if name == "permute" and before:
        return [axis % 4 for axis in node.args[1]].index(before[0])  # type: ignore[union-attr, operator]
    return before[0] if before else None


def taken_with(user: fx.Node, axes: dict[fx.Node, int | None]) -> int | None:
    """Which axis an operator reads the channels of its 4-D argument from, if that can be told."""
    name = operator_name(user)
    if name in CHANNELS_FIRST | CHANNELS_LAST:
        return 1 if name in CHANNELS_FIRST else 3
    return None if name in ("permute", "transpose") else axes.get(user)
