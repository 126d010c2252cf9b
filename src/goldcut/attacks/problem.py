"""What a search with the weights of the edge has to solve: how far an image is from Z, and whether it can be told."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from goldcut.attacks.base import Half, View
from goldcut.attacks.masks import Mask
from goldcut.attacks.transforms import Transform, choose_transform, fit_transform
from goldcut.errors import AttackError

OWN = 2048
"""Images of the attacker's that tell what images are like."""

MOST_PROBLEMS = 2
"""Problems that are posed at most: one for each transform."""

PROBE = 4
"""Images on which it is tested whether the edge has a gradient."""


class NoGradient(AttackError):
    """The edge tells nothing about which way to go."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is searched for.

    Attributes:
        edge: The edge half with its weights.
        transform: Of Z, so that each channel counts the same.
        variation: Mean total variation of the attacker's own images.
        mask: What lies over the given Z; the edge is without it.
    """

    edge: Half
    transform: Transform
    variation: float
    mask: Mask | None = None

    def distance(self, images: Float[Tensor, "n c h w"], z: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Mean squared difference between Z of images and the given Z, in variances of Z.

        Behind a mask an element that did not come counts as much as it is likely to be 0 itself: whoever compares with
        the mask's zeros, or with draws of the mask, is led to images that are too faint.
        """
        seen = z if self.mask is None else self.mask.factor * z
        apart = (self.transform(self.edge(images)) - self.transform(seen)).square().flatten(1)
        if self.mask is None:
            return apart.mean(1)
        weight = torch.where(z == 0, self.mask.blank, 1.0).flatten(1)
        return (weight * apart).sum(1) / weight.sum(1).clamp_min(1e-6)


def pose(view: View, *, seed: int) -> tuple[Problem, ...]:
    """The search problem of a view: with Z standardised, and with the transform that decoders use, if another.

    Raises:
        NoGradient: No gradient comes back through the edge.
    """
    if view.edge is None:
        raise AttackError("a search needs the weights of the edge half", "Choose an attack that does without.")
    own = view.training.targets(slice(0, OWN), view.device)
    transforms = [fit_transform("standardise", view.training.features[:OWN], view.kind)]
    if (other := choose_transform(view, seed=seed)).name != "standardise":
        transforms.append(other)
    variation = max(float(total_variation(own).mean()), 1e-8)
    problems = tuple(
        Problem(view.edge, one.to(view.device), variation, view.mask) for one in transforms if one is not None
    )
    if not _has_gradient(problems[0], own[:PROBE], view.training.representations(slice(PROBE), view.device)):
        raise NoGradient(
            "no gradient comes back through the edge half to the image, as behind rounding",
            "Attack this cut with a decoder.",
        )
    return problems


def total_variation(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Mean squared difference between neighbours, down and to the right.

    He, Zhang, Lee 2019, equation 5, with the exponent of their published code (beta = 2; the text has 1).
    """
    down, right = (images.diff(dim=dim).square().flatten(1).mean(1) for dim in (2, 3))
    return down + right


def _has_gradient(problem: Problem, images: Tensor, z: Tensor) -> bool:
    with torch.enable_grad():
        images = images.roll(1, 0).requires_grad_()
        distance = problem.distance(images, z)
        return distance.requires_grad and bool(torch.autograd.grad(distance.sum(), images)[0].any())
