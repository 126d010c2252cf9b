"""How far Z still depends on the image: the distance correlation of images and Z.

dCor = sqrt(dCov^2(X, Z) / sqrt(dCov^2(X, X) dCov^2(Z, Z))), with dCov^2 the mean product of the two matrices of
Euclidean distances, each centred by rows and columns (G. J. Szekely, M. L. Rizzo, N. K. Bakirov, "Measuring and Testing
Dependence by Correlation of Distances", 2007, definition 4). In [0, 1]; 1 when Z keeps all distances up to one scale.
Each channel of Z is divided by its deviation around the mean Z first, so a scale per channel changes nothing. It needs
no labels. Like every plug-in it grows when images are few: even independent data of many dimensions come near to 1
(Szekely, Rizzo, "The distance correlation t-test of independence in high dimension", 2013). So the same images are used
at every cut, and their number is stated.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from goldcut.probe.geometry import FOLDS
from goldcut.probe.moments import Layout

IMAGES = 256
"""Most images that are compared; the default rule was judged with as many."""


def image_dependence(
    images: Float[Tensor, "n p"], z: Float[Tensor, "n d"], layout: Layout
) -> Float[ndarray, " views"] | None:
    """Distance correlation of images and Z: with all images, then without each of FOLDS folds of them.

    Args:
        images: Flattened, n > 1.
        z: Z of the same images, flattened.
        layout: Where the channels of Z are.

    Returns:
        None where the images or Z do not vary.
    """
    mine, theirs = distances(images), distances(standardise(z, layout))
    folds = torch.arange(len(images), device=images.device) % FOLDS
    kept = [torch.ones_like(folds, dtype=torch.bool), *(folds != fold for fold in range(FOLDS))]
    found = [distance_correlation(mine[rows][:, rows], theirs[rows][:, rows]) for rows in kept]
    return None if None in found else np.array(found, dtype=np.float64)


def standardise(z: Float[Tensor, "n d"], layout: Layout) -> Float[Tensor, "n d"]:
    """Z less its mean, each channel over its deviation; channels that do not vary are 0."""
    deviation = (z - z.mean(0)).view(-1, layout.before, layout.channels, layout.after)
    spread = deviation.double().square().mean((0, 1, 3)).sqrt().to(z.dtype).view(1, 1, -1, 1)
    level = z.abs().max() * torch.finfo(z.dtype).eps
    scaled: Tensor = torch.where(spread > level, deviation / spread, 0.0).reshape(len(z), -1)
    return scaled


def distances(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    """Euclidean distances between all rows, in float64, from the Gram matrix of the centred rows."""
    centred = rows - rows.mean(0)
    gram = (centred @ centred.T).double()
    squares = gram.diagonal()
    far = (squares[:, None] + squares - 2 * gram).clamp(min=0).sqrt()
    return far.fill_diagonal_(0)


def distance_correlation(mine: Float[Tensor, "n n"], theirs: Float[Tensor, "n n"]) -> float | None:
    """Distance correlation in [0, 1] from two matrices of distances; None where one is constant.

    Example:
        >>> far = distances(torch.tensor([[0.0], [1.0], [3.0]]))
        >>> distance_correlation(far, 5 * far)
        1.0
    """
    first, second = (far - far.mean(0) - far.mean(1, keepdim=True) + far.mean() for far in (mine, theirs))
    scale = float(first.norm() * second.norm())
    if scale == 0:
        return None
    cosine = float((first * second).sum()) / scale
    return math.sqrt(min(1.0, max(0.0, cosine)))
