"""How far the Z of a substitute edge is from being distributed as what was seen on the wire.

Each element of Z is matched by its mean and deviation, and neighbouring elements together by the sliced Wasserstein
distance (Bonneel et al.: Sliced and Radon Wasserstein Barycenters of Measures, 2015; as a loss of features Heitz et
al.: A Sliced Wasserstein Loss for Neural Texture Synthesis, 2021). What a filter answers to a patch and to the patches
around it tells which filter it is.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from goldcut.attacks.base import View
from goldcut.attacks.transforms import Transform, fit_transform
from goldcut.errors import AttackError
from goldcut.records import Kind

DIRECTIONS = 64
"""Projections that are drawn for each comparison."""

PATCH = 3
"""Side of a patch of a map; of tokens so many in a row."""

WINDOW = 16
"""Longest side of what is compared of a map, at a place that is drawn each time."""

PATCHES = 4096
"""Patches of each side that are compared at most."""


@dataclass(frozen=True, eq=False)
class Wire:
    """Z as it was seen on the wire.

    Attributes:
        z: (n, *z_shape).
        kind: Of its axes.
        mean: (*z_shape), over the samples.
        std: (*z_shape).
        scale: Standardises each channel.
    """

    z: Float[Tensor, "n ..."]
    kind: Kind
    mean: Float[Tensor, "..."]
    std: Float[Tensor, "..."]
    scale: Transform

    def distance(self, z: Float[Tensor, "b ..."], chance: torch.Generator) -> Float[Tensor, ""]:
        """How far Z of other images is from being distributed as this; without a unit."""
        rows = torch.randint(len(self.z), (len(z),), generator=chance)
        real = self.z[rows].to(z.device)
        apart = sliced_distance(_as_map(self.scale(z), self.kind), _as_map(self.scale(real), self.kind), chance)
        return self.moments(z) + apart

    def moments(self, z: Float[Tensor, "b ..."]) -> Float[Tensor, ""]:
        """Squared differences of mean and deviation of each element, relative to the variance of Z."""
        means, stds = z.mean(0) - self.mean, z.std(0, correction=0) - self.std
        scale = self.std.square().mean().clamp_min(torch.finfo(torch.float32).tiny)
        return (means.square().mean() + stds.square().mean()) / scale


def observe(view: View) -> Wire:
    """What was seen on the wire.

    Raises:
        AttackError: Nothing was.
    """
    if view.observed is None or len(view.observed) < 2:
        raise AttackError("no Z was seen on the wire", "Grant the view `observed`, or choose an attack with queries.")
    scale = fit_transform("standardise", view.observed, view.kind)
    assert scale is not None
    z = view.observed.to(view.device)
    return Wire(z, view.kind, z.mean(0), z.std(0, correction=0), scale.to(view.device))


def sliced_distance(
    made: Float[Tensor, "b c h w"], real: Float[Tensor, "b c h w"], chance: torch.Generator
) -> Float[Tensor, ""]:
    """Squared 2-Wasserstein distance of patches along random directions of length 1, the mean over them.

    Args:
        made: A batch of maps.
        real: As many others.
        chance: Draws the place, the directions and which patches are compared.
    """
    _, channels, height, width = made.shape
    top, left = (int(torch.randint(max(1, side - WINDOW + 1), (), generator=chance)) for side in (height, width))
    here = (slice(None), slice(None), slice(top, top + WINDOW), slice(left, left + WINDOW))
    patch = (min(PATCH, height), min(PATCH, width))
    directions = functional.normalize(torch.randn(DIRECTIONS, channels * patch[0] * patch[1], generator=chance))
    filters = directions.reshape(DIRECTIONS, channels, *patch).to(made.device)
    lines = [functional.conv2d(side[here], filters).transpose(0, 1).flatten(1) for side in (made, real)]
    count = min(PATCHES, lines[0].shape[1])
    drawn = [torch.randperm(line.shape[1], generator=chance)[:count].to(made.device) for line in lines]
    first, second = (line[:, index].sort(dim=1).values for line, index in zip(lines, drawn, strict=True))
    return (first - second).square().mean()


def _as_map(z: Float[Tensor, "b ..."], kind: Kind) -> Float[Tensor, "b c h w"]:
    """Tokens as a row of pixels, a vector as one pixel."""
    if kind == "tokens":
        return z.transpose(1, 2)[:, :, None]
    return z if kind == "map" else z[:, :, None, None]
