"""Distances between images in [0, 1], element by element."""

import math

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

PSNR_LIMIT = 100.0
"""Decibels at which the peak signal-to-noise ratio ends: an error below 1e-10 is no error."""


def mse_per_image(first: Float[Tensor, "n c h w"], second: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Mean squared error per element of each image, in float64.

    Example:
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


def psnr_per_image_mean(mse: Float[Tensor, " n"]) -> float:
    """The mean of the decibels of each image, as some papers report it; each image ends at 100 dB.

    The logarithm is convex in the error, so this is never below `psnr` of the mean error (Jensen), and one image
    without an error lifts it far.

    Args:
        mse: From mse_per_image.

    Example:
        >>> import torch
        >>> round(psnr_per_image_mean(torch.tensor([0.1, 0.001])), 3)
        20.0
    """
    return sum(psnr(error) for error in mse.tolist()) / len(mse)


def cosine_per_image(first: Float[Tensor, "n c h w"], second: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Cosine of the two images of each pair, each less the mean over all its own elements, in float64.

    This is their correlation: it forgives a change of brightness and of contrast. Without the means, images that
    have nothing in common are near 1, because no pixel is negative. 0 where one of the two is all of one value.

    Example:
        >>> import torch
        >>> image = torch.rand(1, 3, 4, 4)
        >>> round(float(cosine_per_image(image, 0.5 - image / 4)), 6)
        -1.0
    """
    one, other = (images.double().flatten(1) for images in (first, second))
    return functional.cosine_similarity(one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True), dim=1)
