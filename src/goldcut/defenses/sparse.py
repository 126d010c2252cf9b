"""Leaving elements of Z out: at random, or all but the largest."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from goldcut.defenses.base import Defense


@dataclass(frozen=True)
class Dropout(Defense):
    """Each element is 0 with a probability, new for each image and each pass (He, Zhang, Lee, 2020).

    What is left is divided by the probability of being left, so that the mean of Z stays.

    Attributes:
        rate: Probability of 0, in (0, 1).
    """

    rate: float

    @property
    def spec(self) -> str:
        """How the command line writes it."""
        return f"dropout:{self.rate:g}"

    def build(self, z: Float[Tensor, "n ..."], seed: int) -> nn.Module:
        """Draws the mask."""
        return Mask(self.rate, seed)


@dataclass(frozen=True)
class TopK(Defense):
    """Only the elements of largest magnitude are sent, the others are 0.

    Attributes:
        share: Share of the elements that are kept, in (0, 1); at least one is.
    """

    share: float

    @property
    def spec(self) -> str:
        """How the command line writes it."""
        return f"topk:{self.share:g}"

    def build(self, z: Float[Tensor, "n ..."], seed: int) -> nn.Module:
        """Keeps the largest."""
        return Largest(max(1, round(self.share * z[0].numel())))


class Mask(nn.Module):
    """Dropout that is on while the network is in eval mode too."""

    def __init__(self, rate: float, seed: int) -> None:
        super().__init__()
        self.rate, self.seed = rate, seed
        self.sources: dict[torch.device, torch.Generator] = {}

    def forward(self, z: Tensor) -> Tensor:
        """Z with elements left out."""
        source = self.sources.get(z.device)
        if source is None:
            source = self.sources[z.device] = torch.Generator(z.device).manual_seed(self.seed)
        kept = torch.rand(z.shape, generator=source, device=z.device) >= self.rate
        return z * kept / (1 - self.rate)


class Largest(nn.Module):
    """The k elements of largest magnitude of each sample."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, z: Tensor) -> Tensor:
        """Z with all others 0."""
        flat = z.flatten(1)
        places = flat.abs().topk(self.k, dim=1).indices
        return torch.zeros_like(flat).scatter(1, places, flat.gather(1, places)).view_as(z)
