"""Parameters and FLOPs of the two halves at every cut, counted in one pass without values."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from goldcut.cuts.alive import ancestors, find_logits
from goldcut.cuts.graph import CutGraph
from goldcut.records import Cut, PricedCut

FLOAT_BYTES = 4


def price_cuts(graph: CutGraph, cuts: Sequence[Cut]) -> tuple[PricedCut, ...]:
    """What each cut costs for one image.

    FLOPs are 2 x multiply-accumulate of convolutions, matrix products and attention, as torch's FlopCounterMode
    counts them; element-wise operators, pools and norms count nothing. Edge and cloud add up to the whole: what is
    computed from weights alone and used by both counts on the edge. Parameters used by both count in both.

    Args:
        graph: From find_cuts.
        cuts: Cuts of that graph.

    Example:
        >>> from torch import nn
        >>> from goldcut.cuts import find_cuts
        >>> graph = find_cuts(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), (1, 2, 2))
        >>> [(cut.name, cut.edge_flops, cut.cloud_flops, cut.edge_params) for cut in price_cuts(graph, graph.cuts)]
        [('1', 24, 12, 15), ('2', 24, 12, 15), ('output', 36, 0, 23)]
    """
    flops = count_flops(graph)
    whole = sum(flops.values())
    logits = find_logits(graph.module.graph)
    parameters = dict(graph.module.named_parameters(remove_duplicate=False))
    priced = []
    for cut in cuts:
        z = graph.node(cut.name)
        edge = ancestors([z])
        cloud = ancestors([logits], stop=(z,)) - {z}
        edge_flops = sum(flops[node] for node in edge)
        priced.append(
            PricedCut(
                **asdict(cut),
                edge_params=count_parameters(edge, parameters),
                cloud_params=count_parameters(cloud, parameters),
                edge_flops=edge_flops,
                cloud_flops=whole - edge_flops,
                payload_bytes=cut.elements * FLOAT_BYTES,
            )
        )
    return tuple(priced)


def count_parameters(nodes: Iterable[fx.Node], parameters: dict[str, nn.Parameter]) -> int:
    """Number of parameters that the nodes read, each tensor once however many names it has."""
    used = {id(p): p.numel() for node in nodes if (p := parameters.get(str(node.target))) is not None}
    return sum(used.values())


def count_flops(graph: CutGraph) -> dict[fx.Node, int]:
    """FLOPs of every node for one image."""
    device = next(graph.module.parameters()).device
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True), counting_mode() as counter:
        interpreter = CountingInterpreter(graph.module, counter)
        interpreter.run(torch.empty(1, *graph.input_shape, device=device))
    return interpreter.flops


def counting_mode() -> FlopCounterMode:
    """torch's counter, taught the attention kernel of the CPU, which it leaves out."""

    def attention(query: Any, key: Any, value: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
        return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]

    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return FlopCounterMode(display=False, custom_mapping={kernel: attention})


class CountingInterpreter(fx.Interpreter):
    """Runs a graph and notes what the counter adds at each node."""

    def __init__(self, module: fx.GraphModule, counter: FlopCounterMode) -> None:
        super().__init__(module)
        self.counter = counter
        self.flops: dict[fx.Node, int] = {}

    def run_node(self, node: fx.Node) -> Any:
        before = self.counter.get_total_flops()
        value = super().run_node(node)
        self.flops[node] = self.counter.get_total_flops() - before
        return value
