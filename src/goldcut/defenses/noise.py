"""Additive noise, in units of the deviation of Z at the cut.

Noise on Z is the defence that split-inference papers compare with first, for instance Z. He, T. Zhang, R. B. Lee,
"Attacking and Protecting Data Privacy in Edge-Cloud Collaborative Inference Systems" (2020).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from goldcut.defenses.base import Defense


@dataclass(frozen=True)
class GaussianNoise(Defense):
    """Z + N(0, sigma^2), new for each image and each pass.

    Attributes:
        level: sigma in units of the deviation of Z: the root of its mean variance per element.
    """

    level: float

    @property
    def spec(self) -> str:
        """How the command line writes it."""
        return f"noise:{self.level:g}"

    def build(self, z: Float[Tensor, "n ..."], seed: int) -> nn.Module:
        """Adds the noise."""
        return Noise(self.level * deviation(z), seed, laplace=False)


@dataclass(frozen=True)
class LaplaceNoise(Defense):
    """Z + Laplace noise of the same standard deviation, new for each image and each pass.

    Attributes:
        level: Standard deviation in units of the deviation of Z (the scale b of the distribution is 1/sqrt(2) of it).
    """

    level: float

    @property
    def spec(self) -> str:
        """How the command line writes it."""
        return f"laplace:{self.level:g}"

    def build(self, z: Float[Tensor, "n ..."], seed: int) -> nn.Module:
        """Adds the noise."""
        return Noise(self.level * deviation(z), seed, laplace=True)


class Noise(nn.Module):
    """Adds noise of a standard deviation, from a generator of its own."""

    def __init__(self, sigma: float, seed: int, *, laplace: bool) -> None:
        super().__init__()
        self.sigma, self.seed, self.laplace = sigma, seed, laplace
        self.sources: dict[torch.device, torch.Generator] = {}

    def forward(self, z: Tensor) -> Tensor:
        """Z with noise."""
        source = self.sources.get(z.device)
        if source is None:
            source = self.sources[z.device] = torch.Generator(z.device).manual_seed(self.seed)
        if not self.laplace:
            return z + self.sigma * torch.randn(z.shape, generator=source, device=z.device, dtype=z.dtype)
        drawn = torch.rand((2, *z.shape), generator=source, device=z.device, dtype=z.dtype)
        # The difference of two exponential variables is Laplace; 1 - u is never 0.
        one, other = -torch.log1p(-drawn)
        noise: Tensor = self.sigma / 2**0.5 * (one - other)
        return z + noise


def deviation(z: Float[Tensor, "n ..."]) -> float:
    """Root of the mean variance per element, around the mean Z.

    Example:
        >>> deviation(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
        0.7071067690849304
    """
    return float((z.float() - z.float().mean(0)).square().mean().sqrt())
