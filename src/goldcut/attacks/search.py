"""Search for the images whose Z is the given one: what the attacks with the weights of the edge have in common.

Each image is a search of its own: losses are summed over images and Adam treats each number alone, so a victim's
reconstruction does not depend on who else is attacked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from goldcut.attacks.base import Half, View
from goldcut.attacks.spectrum import Spectrum
from goldcut.attacks.transforms import Transform, choose_transform, fit_transform
from goldcut.attacks.tuning import Meter
from goldcut.errors import AttackError

PIECE = 32
"""Images that are searched at a time."""

RATE = 0.1
"""Rate of Adam, in standard deviations of each coordinate."""

EPS = 1e-3
"""Added to Adam's denominator, with amsgrad (He, Zhang, Lee: Model Inversion Attacks Against Collaborative Inference,
2019, published code)."""

LOOKS = 20
"""How often a search shows where it is."""

OWN = 2048
"""Images of the attacker's that tell what images are like."""

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
    """

    edge: Half
    transform: Transform
    variation: float

    def distance(self, images: Float[Tensor, "n c h w"], z: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        """Mean squared difference between Z of images and the given Z, in variances of Z."""
        return (self.transform(self.edge(images)) - self.transform(z)).square().flatten(1).mean(1)


@dataclass(frozen=True)
class Penalty:
    """Weights of what is known beside Z.

    Attributes:
        smooth: Of the total variation; at 1, an image as rough as the attacker's own costs as much as Z one standard
            deviation off.
        near: Of the mean squared coordinate, the distance from where the search is anchored.
    """

    smooth: float = 0.0
    near: float = 0.0


@dataclass(frozen=True, eq=False)
class Search:
    """Adam in the coordinates of a spectrum, inside [0, 1].

    The rate is constant over three quarters of the steps and then falls to zero: what the fall gains lies in the last
    quarter, so that a search cut short does not look converged.

    Attributes:
        problem: From `pose`.
        spectrum: Of what the images may add to where the search is anchored.
        penalty: Weights of what else is known.
        steps: Length of the schedule.
    """

    problem: Problem
    spectrum: Spectrum
    penalty: Penalty
    steps: int

    def walk(
        self,
        z: Float[Tensor, "n ..."],
        anchor: Float[Tensor, "n c h w"],
        begin: Float[Tensor, "c h w"] | None = None,
        until: int | None = None,
    ) -> Iterator[tuple[int, Float[Tensor, "n c h w"]]]:
        """Search, without gradients around it.

        Args:
            z: Z of unknown images.
            anchor: Images that coordinates count from.
            begin: Coordinates to start from; the anchor by default.
            until: Step at which to end; the end of the schedule by default.

        Yields:
            The step and the images there: the start, then LOOKS times, and the end.
        """
        until = self.steps if until is None else until
        anchor = anchor.clamp(0, 1)
        point = torch.zeros_like(anchor) if begin is None else begin.expand_as(anchor).clone()
        adam = torch.optim.Adam([point], lr=RATE, eps=EPS, amsgrad=True)
        yield 0, (anchor + self.spectrum.images(point)).clamp(0, 1)
        for step in range(until):
            adam.param_groups[0]["lr"] = RATE * min(1.0, 4 * (self.steps - step) / self.steps)
            point.grad = self._slope(z, anchor, point)
            adam.step()
            image = (anchor + self.spectrum.images(point)).clamp(0, 1)
            point.copy_(self.spectrum.coordinates(image - anchor))
            if (step + 1) % max(1, self.steps // LOOKS) == 0 or step + 1 == until:
                yield step + 1, image

    def find(
        self,
        z: Float[Tensor, "n ..."],
        anchor: Float[Tensor, "n c h w"],
        begins: Sequence[Float[Tensor, "c h w"] | None],
        until: int,
        meter: Meter,
    ) -> Float[Tensor, "n c h w"]:
        """Of each image the end of the search that comes nearest to Z, which takes no truth to tell."""
        made = []
        for part, around in zip(torch.split(z, PIECE), torch.split(anchor, PIECE), strict=True):
            ends = torch.stack([self._end(part, around, begin, until, meter) for begin in begins])
            distances = torch.stack([self.problem.distance(end, part) for end in ends])
            made.append(ends[distances.argmin(0), torch.arange(len(part), device=ends.device)])
        return torch.cat(made)

    def _end(self, z: Tensor, anchor: Tensor, begin: Tensor | None, until: int, meter: Meter) -> Tensor:
        last = 0, anchor
        for found in self.walk(z, anchor, begin, until):
            meter.add(found[0] - last[0])
            last = found
        return last[1]

    def _slope(self, z: Tensor, anchor: Tensor, point: Tensor) -> Tensor:
        """Gradient of the loss of each image, times the pixels so that its size does not depend on them."""
        with torch.enable_grad():
            point = point.detach().requires_grad_()
            image = anchor + self.spectrum.images(point)
            loss = self.problem.distance(image, z) + self.penalty.near * point.square().flatten(1).mean(1)
            if self.penalty.smooth:
                loss = loss + self.penalty.smooth * total_variation(image) / self.problem.variation
            slope = torch.autograd.grad(loss.sum() * point[0].numel(), point)[0]
        return slope.nan_to_num(0, 0, 0)


def pose(view: View, *, seed: int) -> tuple[Problem, ...]:
    """The search problem of a view: with Z standardised, and with the transform that shows a line most, if another.

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
    problems = tuple(Problem(view.edge, one.to(view.device), variation) for one in transforms if one is not None)
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
