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

    Whether the channels of a 4-D tensor come first or last follows from the operators that made it; where they do
    not say, first.
    """
    kinds: dict[fx.Node, Kind] = {}
    channels: dict[fx.Node, int | None] = {}
    for node in flow.nodes:
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            continue
        if value.ndim == 4:
            channels[node] = axis = channel_axis(node, [channels[a] for a in node.all_input_nodes if a in channels])
            kinds[node] = "tokens" if axis == 3 else "map"
        else:
            kinds[node] = "tokens" if value.ndim == 3 else "vector"
    return kinds


def channel_axis(node: fx.Node, before: list[int | None]) -> int | None:
    """Which axis of a 4-D tensor holds the channels, given that of the 4-D tensors it is computed from."""
    name = operator_name(node)
    if node.op == "placeholder" or name in CHANNELS_FIRST:
        return 1
    if name in CHANNELS_LAST:
        return 3
    known = next((axis for axis in before if axis is not None), None)
    if name == "permute" and known is not None:
        return [axis % 4 for axis in node.args[1]].index(known)  # type: ignore[union-attr, operator]
    return known
