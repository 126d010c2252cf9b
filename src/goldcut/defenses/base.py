"""A defence: a frozen bag of settings that builds, for the Z of a cut, what the device does to it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

CALIBRATION = 256
"""Images that set the scale of a defence: spread evenly over those that a model is judged on."""


@dataclass(frozen=True)
class Defense(ABC):
    """Something that is done to Z on the device, after training, without changing a weight."""

    @abstractmethod
    def build(self, z: Float[Tensor, "n ..."], seed: int) -> nn.Module:
        """The module that turns Z (b, *shape) into what is sent, of the same shape.

        Args:
            z: Z of a few images at the cut, to set the scale by.
            seed: Of what is drawn, if anything is.
        """

    @property
    @abstractmethod
    def spec(self) -> str:
        """How the command line writes it."""
