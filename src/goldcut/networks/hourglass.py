"""Hour-glass networks that paint one image each, several side by side in grouped convolutions.

Ulyanov, Vedaldi, Lempitsky: Deep Image Prior, 2018, at a quarter of their width: down and up again with skips, fed
with noise. What such a network paints first is what images look like.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from goldcut.networks.decoders import seeded_weights

SKIP = 4
"""Channels that pass beside each level."""

SLOPE = 0.2
"""Of the leaky rectifier."""


class Layer(nn.Module):
    """A convolution for each of the networks, instance norm and a leaky rectifier."""

    def __init__(self, networks: int, before: int, after: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        # One set of weights for all: what a network paints must not depend on how many others there are.
        single = nn.Conv2d(before, after, kernel)
        self.weight = nn.Parameter(single.weight.detach().repeat(networks, 1, 1, 1))
        self.scale = nn.Parameter(torch.ones(networks * after))
        self.shift = nn.Parameter(torch.zeros(networks * after))
        self.networks, self.stride, self.padding = networks, stride, kernel // 2

    def forward(self, x: Float[Tensor, "1 _ h w"]) -> Float[Tensor, "1 _ _ _"]:
        x = functional.conv2d(x, self.weight, None, self.stride, self.padding, groups=self.networks)
        return functional.leaky_relu(functional.instance_norm(x, weight=self.scale, bias=self.shift), SLOPE)


class Level(nn.Module):
    """Half the size and back, with a skip beside it."""

    def __init__(self, networks: int, before: int, width: int, inner: nn.Module | None) -> None:
        super().__init__()
        self.networks, self.inner = networks, inner
        self.skip = Layer(networks, before, SKIP, 1)
        self.down = nn.Sequential(Layer(networks, before, width, 3, 2), Layer(networks, width, width, 3))
        self.up = nn.Sequential(Layer(networks, width + SKIP, width, 3), Layer(networks, width, width, 1))

    def forward(self, x: Float[Tensor, "1 _ h w"]) -> Float[Tensor, "1 _ h w"]:
        low = self.down(x)
        low = low if self.inner is None else self.inner(low)
        wide = functional.interpolate(low, size=x.shape[2:], mode="bilinear")
        parts = [part.reshape(1, self.networks, -1, *x.shape[2:]) for part in (wide, self.skip(x))]
        raised: Tensor = self.up(torch.cat(parts, 2).flatten(1, 2))
        return raised


class Hourglasses(nn.Module):
    """One network for each image.

    Args:
        networks: How many.
        image_shape: (C, H, W) of the images.
        width: Channels inside.
        levels: How often the size is halved.
    """

    def __init__(self, networks: int, image_shape: tuple[int, int, int], width: int, levels: int) -> None:
        super().__init__()
        channels, _, _ = image_shape
        self.networks = networks
        inner: nn.Module | None = None
        for _ in range(levels):
            inner = Level(networks, width, width, inner)
        assert inner is not None
        self.body = inner
        paint = nn.Conv2d(width, channels, 1)
        self.paint = nn.Parameter(paint.weight.detach().repeat(networks, 1, 1, 1))
        self.base = nn.Parameter(torch.zeros(networks * channels))

    def forward(self, x: Float[Tensor, "1 width h w"]) -> Float[Tensor, "networks c h w"]:
        """Images in (0, 1) from the noise, which is the same for all."""
        painted = self.body(x.repeat(1, self.networks, 1, 1))
        painted = functional.conv2d(painted, self.paint, self.base, groups=self.networks)
        _, channels, height, width = painted.shape
        return torch.sigmoid(painted).reshape(self.networks, channels // self.networks, height, width)


def build_hourglasses(
    networks: int, image_shape: tuple[int, int, int], width: int, levels: int, *, seed: int
) -> Hourglasses:
    """Equal untrained networks, their weights drawn from `seed`; the global generator is left as it was.

    Small images are halved less often than asked, as a norm over a single pixel is nothing.
    """
    levels = max(1, min(levels, int(math.log2(min(image_shape[1:]))) - 1))
    with seeded_weights(seed):
        return Hourglasses(networks, image_shape, width, levels)
