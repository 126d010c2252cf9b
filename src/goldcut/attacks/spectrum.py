"""Coordinates in which images vary equally much in every direction, so that a search is not lost in fine detail.

A trained edge answers to fine detail far more than to brightness, so gradient descent on pixels mends the detail and
leaves the picture grey. In these coordinates one step moves each frequency by its share of what images do. Olah,
Mordvintsev, Schubert: Feature Visualization, 2017, section "Preconditioning and Parameterization".
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = 0.04
"""Least spread of a coordinate, as a share of the root mean square over all of them: nothing is frozen."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A rotation of the colours, a cosine transform of the plane, and how far each coefficient spreads.

    Attributes:
        colours: (C, C) orthonormal; its columns are the principal colours.
        rows: (H, H) orthonormal cosine transform.
        columns: (W, W) the same for the width.
        spread: (C, H, W) standard deviation of each coefficient.
    """

    colours: Float[Tensor, "c c"]
    rows: Float[Tensor, "h h"]
    columns: Float[Tensor, "w w"]
    spread: Float[Tensor, "c h w"]

    def images(self, coordinates: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """What coordinates add to an image."""
        plane = self.rows.T @ (coordinates * self.spread) @ self.columns
        return torch.einsum("ndhw,cd->nchw", plane, self.colours)

    def coordinates(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The inverse of `images`."""
        return _transform(images, self.colours, self.rows, self.columns) / self.spread


def measure_spectrum(offsets: Float[Tensor, "n c h w"]) -> Spectrum:
    """The spectrum of samples around zero, such as images less their mean, or the errors of a decoder."""
    _, _, height, width = offsets.shape
    colours = torch.linalg.eigh(torch.einsum("nchw,ndhw->cd", offsets, offsets).double())[1].to(offsets)
    rows, columns = cosines(height).to(offsets), cosines(width).to(offsets)
    power = _transform(offsets, colours, rows, columns).square().mean(0)
    least = (FLOOR**2 * power.mean()).clamp_min(1e-12)
    return Spectrum(colours, rows, columns, (power + least).sqrt())


def cosines(length: int) -> Float[Tensor, "k n"]:
    """The orthonormal cosine transform (DCT-II; Ahmed, Natarajan, Rao: Discrete Cosine Transform, 1974)."""
    n = torch.arange(length, dtype=torch.float64)
    waves = torch.cos(math.pi / length * (n + 0.5) * n[:, None]) * math.sqrt(2 / length)
    waves[0] /= math.sqrt(2)
    return waves.float()


def _transform(images: Tensor, colours: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return rows @ torch.einsum("nchw,cd->ndhw", images, colours) @ columns.T
