"""Critics of Z, Z -> one number, generated from shapes: small, and with second derivatives everywhere."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from goldcut.networks.decoders import seeded_weights
from goldcut.records import Kind

WIDTH = 64

SMALLEST = 4
"""Longest side at which a map is read as a whole."""

SLOPE = 0.2


def build_critic(z_shape: tuple[int, ...], kind: Kind, *, seed: int) -> nn.Module:
    """A critic of Z without norms, so that each sample is judged alone (Gulrajani et al. 2017, section 4).

    Args:
        z_shape: Shape of Z per sample: (C, H, W), (T, D) or (D,).
        kind: Which of the three it is.
        seed: Seed of the weights; the global generator is left as it was.

    Example:
        >>> build_critic((16, 9, 9), "map", seed=0)(torch.zeros(2, 16, 9, 9)).shape
        torch.Size([2, 1])
    """
    with seeded_weights(seed):
        if kind == "tokens":
            return TokenCritic(z_shape)
        if kind == "vector":
            return nn.Sequential(nn.Linear(z_shape[0], 2 * WIDTH), nn.LeakyReLU(SLOPE), *_judge(2 * WIDTH))
        channels, *grid = z_shape
        steps: list[nn.Module] = [nn.Conv2d(channels, WIDTH, 1), nn.LeakyReLU(SLOPE)]
        while max(grid) > SMALLEST:
            steps += [nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
            grid = [-(-side // 2) for side in grid]
        return nn.Sequential(*steps, nn.Flatten(), *_judge(WIDTH * math.prod(grid)))


def _judge(features: int) -> tuple[nn.Module, ...]:
    return nn.Linear(features, WIDTH), nn.LeakyReLU(SLOPE), nn.Linear(WIDTH, 1)


class TokenCritic(nn.Module):
    """Each token by what it is and where it stands, then all of them together.

    Args:
        z_shape: (T, D) of Z.
    """

    def __init__(self, z_shape: tuple[int, ...]) -> None:
        super().__init__()
        tokens, features = z_shape
        self.project = nn.Linear(features, WIDTH)
        self.position = nn.Parameter(torch.randn(1, tokens, WIDTH) / WIDTH**0.5)
        self.mix = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(SLOPE))
        self.judge = nn.Sequential(*_judge(WIDTH))

    def forward(self, z: Float[Tensor, "b t d"]) -> Float[Tensor, "b 1"]:
        judged: Tensor = self.judge(self.mix(self.project(z) + self.position).mean(1))
        return judged
