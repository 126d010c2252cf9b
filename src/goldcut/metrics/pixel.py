"""Distances between images in [0, 1], element by element."""

import math

from jaxtyping import Float
from torch import Tensor

PSNR_LIMIT = 100.0
"""Decibels at which the peak signal-to-noise ratio ends: an error below 1e-10 is no error."""


def mse_per_image(first: Float[Tensor, "n c h w"], second: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Mean squared error per element of each image, in float64.

    Example:
        >>> import torch
        >>> import torch
        >>> mse_per_image(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5))
        tensor([0.2500], dtype=torch.float64)
    """
    return (first.double() - second.double()).square().flatten(1).mean(dim=1)


def psnr(mse: float) -> float:
    """10 log10(1 / mse) in decibels for images in [0, 1]; at most 100 dB.

    Take the mean error of all images first: the mean of their decibels is another, larger number.

    Example:
        >>> round(psnr(0.018 / 3), 2)
        22.22
    """
    return -10.0 * math.log10(max(mse, 10.0 ** (-PSNR_LIMIT / 10.0)))
