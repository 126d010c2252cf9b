"""What a scan keeps in memory, known before it starts."""

import math
from collections.abc import Sequence

from torch import Tensor

from goldcut.cuts.graph import CutGraph
from goldcut.errors import BudgetError
from goldcut.probe.geometry import FOLDS
from goldcut.probe.moments import Layout
from goldcut.records import Cut

LIVE = 3
"""Activations of the largest size that are alive at a time, as a rule."""


def state_bytes(cuts: Sequence[Cut]) -> int:
    """Bytes of the moments of all cuts, and of what the largest needs while a batch joins them."""
    layouts = [Layout.of(cut) for cut in cuts]
    kept = sum(2 * FOLDS * (each.elements + each.channels) + (FOLDS + 1) * each.channels for each in layouts)
    passing = 3 * FOLDS * max(each.elements for each in layouts)
    return 8 * (kept + passing)


def image_bytes(graph: CutGraph) -> int:
    """Bytes that one image takes on its way through the model, from the shapes in the graph."""
    largest = math.prod(graph.input_shape)
    for node in graph.module.graph.nodes:
        value = node.meta.get("val")
        if node.op == "call_function" and isinstance(value, Tensor):
            largest = max(largest, math.prod(size for size in value.shape[1:] if isinstance(size, int)))
    return 4 * (math.prod(graph.input_shape) + LIVE * largest)


def fit_batch(graph: CutGraph, cuts: Sequence[Cut], batch_size: int, memory_bytes: int) -> int:
    """The batch size to use: `batch_size`, or less where memory asks for it.

    Raises:
        BudgetError: Not even one image fits beside the state.
    """
    state, image = state_bytes(cuts), image_bytes(graph)
    fits = (memory_bytes - state) // image
    if fits < 1:
        needed = (state + image * min(batch_size, 8)) / 2**30
        raise BudgetError(
            f"the moments of {len(cuts)} cuts and a batch need {needed:.2f} GiB, {memory_bytes / 2**30:.2f} were given",
            f"Give --memory {math.ceil(needed * 10) / 10:.1f}G, or scan fewer cuts (--level block shows the fewest).",
        )
    return int(min(batch_size, fits))
