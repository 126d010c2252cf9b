"""A small network with maps, tokens and vectors to cut at, images of four classes, and the slow way to read Z."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.records import Cut, PricedCut
from goldcut.sources.images import Images, from_arrays

SHAPE = (1, 12, 12)
CLASSES = 4


class Net(nn.Module):
    """Two convolutions, a token mixer and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.conv1(x).relu()).relu()
        x = self.mix(x.flatten(2).transpose(1, 2)).relu()
        return self.head(x.mean(1))


@pytest.fixture
def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net().eval()


@pytest.fixture
def graph(net: nn.Module) -> CutGraph:
    return find_cuts(net, SHAPE)


def price(cuts: tuple[Cut, ...]) -> tuple[PricedCut, ...]:
    """The cuts with made-up prices."""
    return tuple(
        PricedCut(
            **{field.name: getattr(cut, field.name) for field in fields(Cut)},
            edge_params=0,
            cloud_params=0,
            edge_flops=100 * place,
            cloud_flops=0,
            payload_bytes=4 * cut.elements,
        )
        for place, cut in enumerate(cuts)
    )


@pytest.fixture
def cuts(graph: CutGraph) -> tuple[PricedCut, ...]:
    return price(graph.cuts)


def make_images(labels: np.ndarray, seed: int = 0) -> Images:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 120, (len(labels), *SHAPE[1:]))
    return from_arrays((noise + 30 * labels[:, None, None]).astype(np.uint8), labels, spec="made", classes=list("abcd"))


@pytest.fixture
def images() -> Images:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(CLASSES), [70, 40, 25, 31]))
    return make_images(labels)


def read_slowly(graph: CutGraph, images: Images, name: str) -> np.ndarray:
    """Z at a cut as (n, *shape) in float64, by interpreting the graph node by node."""
    interpreter = torch.fx.Interpreter(graph.module, garbage_collect_values=False)
    with torch.no_grad():
        interpreter.run(images.batch(np.arange(len(images))))
    z = next(value for node, value in interpreter.env.items() if node.name == graph.nodes[name])
    return z.double().numpy()


@pytest.fixture
def slow() -> Callable[[CutGraph, Images, str], np.ndarray]:
    return read_slowly


@pytest.fixture
def make() -> Callable[..., Images]:
    return make_images
