"""What an attacker does to Z before it decodes it: the paper's "entropy enhancement" of the representation.

Liu et al.: Partitioning for Intrinsic Model Inversion Resistance in Collaborative Inference, 2026. Nothing here can add
information to Z; it may be easier to decode.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

DROPPED = 0.3
"""Share of the channels that the small network drops while it learns (the authors' scripts)."""

LEAST_STD = 1e-6


class Enrichment(nn.Module):
    """A function of Z as a map.

    Attributes:
        channels: Channels that come out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, z: Float[Tensor, "b c h w"], noise: torch.Generator | None = None) -> Float[Tensor, "b _ h w"]:
        """Z as it is.

        Args:
            z: Z as a map.
            noise: Where dropout draws from; without it nothing is dropped.
        """
        return z


class Normalised(Enrichment):
    """Each Z to mean 0 and standard deviation 1 over all its elements."""

    def forward(self, z: Float[Tensor, "b c h w"], noise: torch.Generator | None = None) -> Float[Tensor, "b c h w"]:
        return normalise(z)


class SpectrumAdded(Enrichment):
    """Z plus its normalised log-spectrum, position by frequency, as the authors' scripts do."""

    def forward(self, z: Float[Tensor, "b c h w"], noise: torch.Generator | None = None) -> Float[Tensor, "b c h w"]:
        return z + normalise(log_spectrum(z))


class SpectrumBeside(Enrichment):
    """Z, and its normalised log-spectrum as further channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(2 * channels)

    def forward(self, z: Float[Tensor, "b c h w"], noise: torch.Generator | None = None) -> Float[Tensor, "b c2 h w"]:
        return torch.cat([z, normalise(log_spectrum(z))], 1)


class DropoutNet(Enrichment):
    """Z, and what a small convolutional network with dropout of channels makes of it, as further channels.

    3x3 convolution, normalisation of each sample, ReLU, dropout, 1x1 convolution. The scripts normalise each channel of
    a sample, which leaves nothing of a map of one pixel; here all channels are normalised together.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(2 * channels)
        self.look = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.GroupNorm(1, channels), nn.ReLU())
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, z: Float[Tensor, "b c h w"], noise: torch.Generator | None = None) -> Float[Tensor, "b c2 h w"]:
        seen = self.look(z)
        if noise is not None:
            kept = torch.rand(seen.shape[:2], generator=noise) >= DROPPED
            seen = seen * (kept / (1 - DROPPED)).to(seen)[:, :, None, None]
        return torch.cat([z, self.mix(seen)], 1)


def log_spectrum(z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """log(1 + |Re| + |Im|) of the orthonormal Fourier transform of each channel."""
    waves = torch.fft.fft2(z, norm="ortho")
    return torch.log1p(waves.real.abs() + waves.imag.abs())


def normalise(z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Each sample to mean 0 and standard deviation 1; one that is constant to 0."""
    centred = z - z.mean((1, 2, 3), keepdim=True)
    return centred / (centred.square().mean((1, 2, 3), keepdim=True).sqrt() + LEAST_STD)


ENRICHMENTS: dict[str, Callable[[int], Enrichment]] = {
    "none": Enrichment,
    "normalise": Normalised,
    "fft-residual": SpectrumAdded,
    "fft-concat": SpectrumBeside,
    "dropout-net": DropoutNet,
}
"""By name, each made from the number of channels."""
