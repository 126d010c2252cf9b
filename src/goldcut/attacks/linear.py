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


def fit_ridge(
    batches: Callable[[], Iterable[tuple[Float[Tensor, "b d"], Float[Tensor, "b p"]]]],
    error: Callable[[Affine], float],
) -> tuple[Affine, float, float]:
    """The ridge regression of x on z with the lambda that errs least elsewhere.

    Normal equations in float64, centred, with the d x d Gram matrix summed over batches: reduce z first
    where d is large.

    Args:
        batches: Called twice; yields the samples batch by batch.
        error: What an affine map errs on the selection samples.

    Returns:
        The map in float32, its lambda and its error.
    """
    count, z_sum, x_sum = 0, torch.zeros(()), torch.zeros(())
    for z, x in batches():
        count, z_sum, x_sum = count + len(z), z_sum + z.double().sum(0).cpu(), x_sum + x.double().sum(0).cpu()
    z_mean, x_mean = z_sum / count, x_sum / count
    gram = torch.zeros(len(z_mean), len(z_mean), dtype=torch.float64)
    cross = torch.zeros(len(z_mean), len(x_mean), dtype=torch.float64)
    for z, x in batches():
        centred = z.double().cpu() - z_mean
        gram += centred.T @ centred
        cross += centred.T @ (x.double().cpu() - x_mean)
    values, vectors = torch.linalg.eigh(gram)
    values, rotated = values.clamp_min(0), vectors.T @ cross
    scale = float(values.mean()) or 1.0
    best: tuple[Affine, float, float] | None = None
    for shrink in LAMBDAS:
        weights = vectors @ (rotated / (values + shrink * scale)[:, None])
        candidate = Affine(weights.float(), z_mean.float(), x_mean.float())
        erred = error(candidate)
        if best is None or erred < best[2]:
            best = candidate, shrink, erred
    assert best is not None
    return best


def principal_axes(z: Float[Tensor, "m d"], most: int) -> Float[Tensor, "d k"]:
    """The leading principal axes of a few samples in many dimensions, from their m x m Gram matrix.

    Args:
        z: Samples, d maybe far above m.
        most: Axes at most; directions without variance are left out.
    """
    centred = z - z.mean(0)
    values, vectors = torch.linalg.eigh((centred @ centred.T).double())
    kept = (values > 1e-9 * values.amax().clamp_min(1e-30)).nonzero().flatten()[-most:].flip(0)
    axes: Tensor = centred.T @ (vectors[:, kept] / values[kept].sqrt()).to(z.dtype)
    return axes
