"""Fewer bits per element: what crosses the wire is one of 2^bits levels."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from goldcut.defenses.base import Defense


@dataclass(frozen=True)
class Quantise(Defense):
    """Each element is rounded to one of 2^bits levels between the least and the largest value of the calibration.

    Gradients pass as if nothing had been rounded (Y. Bengio, N. Leonard, A. Courville, "Estimating or Propagating
    Gradients Through Stochastic Neurons for Conditional Computation", 2013), so that an attack can search through it.

    Attributes:
        bits: Bits per element, 1 to 16.
    """

    bits: int

    @property
    def spec(self) -> str:
        """How the command line writes it."""
        return f"quantise:{self.bits}"

    def build(self, z: Float[Tensor, "n ..."], seed: int) -> nn.Module:
        """Rounds to the levels."""
        return Levels(float(z.min()), float(z.max()), 2**self.bits)


class Levels(nn.Module):
    """Rounds to evenly spaced levels, and clips what is outside of them."""

    def __init__(self, low: float, high: float, levels: int) -> None:
        super().__init__()
        self.low, self.step, self.last = low, max(high - low, 1e-12) / (levels - 1), levels - 1

    def forward(self, z: Tensor) -> Tensor:
        """The nearest level."""
        place = ((z - self.low) / self.step).clamp(0, self.last)
        rounded = place + (place.round() - place).detach()
        return rounded * self.step + self.low
