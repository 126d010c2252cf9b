"""Wall clock of the two halves on this machine, and the memory that their tensors need."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.split import split_at

WARM_UP = 3


@dataclass(frozen=True, kw_only=True)
class MeasuredCut:
    """What a cut costs on this machine, for a batch of one image.

    Attributes:
        name: The cut.
        edge_seconds: Median wall clock of the edge half.
        cloud_seconds: Median wall clock of the cloud half.
        edge_weight_bytes: Parameters and buffers of the edge half.
        cloud_weight_bytes: Parameters and buffers of the cloud half.
        edge_peak_bytes: Most bytes of activations alive at once in the edge half, counted, without workspaces.
        cloud_peak_bytes: The same of the cloud half.
        runs: Timed runs of each half.
        device: Where they ran.
        threads: Threads that torch used on the CPU.
    """

    name: str
    edge_seconds: float
    cloud_seconds: float
    edge_weight_bytes: int
    cloud_weight_bytes: int
    edge_peak_bytes: int
    cloud_peak_bytes: int
    runs: int
    device: str
    threads: int


def measure_cut(graph: CutGraph, name: str, *, runs: int = 20) -> MeasuredCut:
    """Time both halves at a cut on the device of the model, after a warm-up, on an image of zeros.

    Args:
        graph: From find_cuts.
        name: A cut, by name or alias; not the output.
        runs: Timed runs of each half, at least 1.

    Raises:
        ModelError: There is no such cut.
    """
    split = split_at(graph, name)
    device = next(graph.module.parameters()).device
    images = torch.zeros(1, *graph.input_shape, device=device)
    with torch.no_grad():
        z = split.edge(images)
        return MeasuredCut(
            name=split.cut.name,
            edge_seconds=median_seconds(lambda: split.edge(images), runs, device),
            cloud_seconds=median_seconds(lambda: split.cloud(z), runs, device),
            edge_weight_bytes=weight_bytes(split.edge),
            cloud_weight_bytes=weight_bytes(split.cloud),
            edge_peak_bytes=peak_bytes(split.edge, images),
            cloud_peak_bytes=peak_bytes(split.cloud, z),
            runs=runs,
            device=str(device),
            threads=torch.get_num_threads(),
        )


def median_seconds(work: Callable[[], object], runs: int, device: torch.device) -> float:
    """Median wall clock of some work, the device's queue emptied around each run."""
    seconds = []
    for _ in range(WARM_UP + runs):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return median(seconds[WARM_UP:])


def synchronise(device: torch.device) -> None:
    """Wait until an accelerator has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def weight_bytes(module: torch.nn.Module) -> int:
    """Bytes of parameters and buffers."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def peak_bytes(module: fx.GraphModule, entry: Tensor) -> int:
    """Most bytes of activations alive at once when each is freed after its last use; views count once."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        meter = MemoryMeter(module)
        meter.run(mode.from_tensor(entry))
    return meter.peak


class MemoryMeter(fx.Interpreter):
    """Runs a graph without values and notes the bytes alive after each node."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.peak = 0

    def run_node(self, node: fx.Node) -> object:
        value = super().run_node(node)
        stores = {
            tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes()
            for other, tensor in [*self.env.items(), (node, value)]
            if isinstance(tensor, FakeTensor) and other.op != "get_attr"
        }
        self.peak = max(self.peak, sum(stores.values()))
        return value
