"""Small smooth images of four classes, a network to cut, and views made from plain tensors."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from goldcut.attacks.base import Sample, View
from goldcut.records import Kind
from goldcut.sources.images import Images, Parts, divide, from_arrays

SIDE = 12
CLASSES = 4


def draw_images(n: int, *, seed: int, channels: int = 1, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Smooth random fields around a pattern for each class, as uint8 (n, channels, side, side), and labels."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(CLASSES, channels, 3, 3, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(CLASSES, (n,), generator=generator)
    coarse = patterns[labels] + 1.2 * torch.randn(n, channels, 3, 3, generator=generator)
    fields = functional.interpolate(coarse, size=side, mode="bicubic")
    fine = 0.3 * torch.randn(n, channels, side, side, generator=generator)
    return ((0.5 + 0.15 * (fields + fine)).clamp(0, 1) * 255).round().to(torch.uint8), labels


class Net(nn.Module):
    """A convolution, a strided one, a pool and a linear head."""

    def __init__(self, side: int = SIDE) -> None:
        super().__init__()
        self.shallow = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.deep(self.shallow(x)))


def build_net(side: int = SIDE) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net(side).eval()


def make_images(n: int, *, seed: int, side: int = SIDE) -> Images:
    x, y = draw_images(n, seed=seed, side=side)
    return from_arrays(x.permute(0, 2, 3, 1).numpy(), y.numpy(), spec=f"fields:{seed}", part="all")


@pytest.fixture(scope="session")
def parts() -> Parts:
    return divide(make_images(120, seed=1), make_images(420, seed=2), victims=100, seed=0)


@pytest.fixture
def net() -> Net:
    return build_net()


def make_view(
    edge: Callable[[Tensor], Tensor], kind: Kind, *, n: int = 400, selection: int = 80, seed: int = 2
) -> View:
    """What an attacker of an edge is granted, with the true class as the predicted label."""
    with torch.no_grad():
        samples = []
        for count, part in ((n, seed), (selection, seed + 1)):
            images, labels = draw_images(count, seed=part)
            samples.append(Sample(images, edge(images.float() / 255), labels.numpy().astype(np.int64)))
    return View(samples[0], samples[1], kind=kind)
