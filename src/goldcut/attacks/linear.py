"""Ridge regression (Hoerl, Kennard, 1970) in closed form, with lambda chosen on other samples."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LAMBDAS = tuple(10.0**power for power in range(-10, 3))
"""Candidates, in units of the mean eigenvalue of the Gram matrix."""


@dataclass(frozen=True, eq=False)
class Affine:
    """x = (z - z_mean) @ weights + x_mean; z of shape (n, d), x of shape (n, p)."""

    weights: Float[Tensor, "d p"]
    z_mean: Float[Tensor, " d"]
    x_mean: Float[Tensor, " p"]

    def __call__(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n p"]:
        return (z - self.z_mean) @ self.weights + self.x_mean


PIXELS = 256
"""Pixels that compare the lambdas."""

NOISE = 1e-6
"""Share of the largest eigenvalue below which one is the rounding of float32."""


def fit_ridge(
    batches: Callable[[], Iterable[tuple[Float[Tensor, "b d"], Float[Tensor, "b p"]]]],
    z_other: Float[Tensor, "m d"],
    x_other: Float[Tensor, "m p"],
) -> tuple[Affine, float, float]:
    """The ridge regression of images on z with the lambda that errs least on other samples.

    Normal equations in float64, centred, with the d x d Gram matrix summed over batches: reduce z first
    where d is large. The lambdas are compared on every k-th pixel, at most 256 of them, clipped to [0, 1].

    Args:
        batches: Called twice; yields the samples batch by batch.
        z_other: Samples that choose lambda.
        x_other: Their images.

    Returns:
        The map in float32, its lambda and its mean squared error on those pixels.
    """
    count, z_sum, x_sum = 0, torch.zeros(()), torch.zeros(())
    for z, x in batches():
        count, z_sum, x_sum = count + len(z), z_sum + z.double().sum(0), x_sum + x.double().sum(0)
    z_mean, x_mean = z_sum / count, x_sum / count
    gram = torch.zeros(len(z_mean), len(z_mean), dtype=torch.float64)
    cross = torch.zeros(len(z_mean), len(x_mean), dtype=torch.float64)
    for z, x in batches():
        centred = z.double() - z_mean
        gram += centred.T @ centred
        cross += centred.T @ (x.double() - x_mean)
    values, vectors = torch.linalg.eigh(gram)
    values, rotated = values.clamp_min(0), vectors.T @ cross
    pixels = slice(None, None, -(-len(x_mean) // PIXELS))
    seen, truth = (z_other.double() - z_mean) @ vectors, x_other[:, pixels].double()
    scale = float(values.mean()) or 1.0

    def error(shrink: float) -> float:
        made = seen / (values + shrink * scale) @ rotated[:, pixels] + x_mean[pixels]
        return float((made.clamp(0, 1) - truth).square().mean())

    erred, shrink = min((error(shrink), shrink) for shrink in LAMBDAS)
    weights = vectors @ (rotated / (values + shrink * scale)[:, None])
    return Affine(weights.float(), z_mean.float(), x_mean.float()), shrink, erred


def principal_axes(z: Float[Tensor, "m d"], most: int) -> Float[Tensor, "d k"]:
    """The leading principal axes of a few samples in many dimensions, from their m x m Gram matrix.

    Args:
        z: Samples, d maybe far above m.
        most: Axes at most; directions without variance are left out.
    """
    centred = z - z.mean(0)
    values, vectors = torch.linalg.eigh((centred @ centred.T).double())
    kept = (values > NOISE * values.amax().clamp_min(1e-30)).nonzero().flatten()[-most:].flip(0)
    axes: Tensor = centred.T @ (vectors[:, kept] / values[kept].sqrt()).to(z.dtype)
    return axes
