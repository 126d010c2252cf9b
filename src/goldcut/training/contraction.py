"""Losses that act on Z at cuts and draw each class together."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import log_softmax, normalize

from goldcut.training.losses import Answers, Loss, check_within, cross_entropy, labels_of, needs_class
from goldcut.training.targets import Targets


def supcon(z: Float[Tensor, "b d"], labels: Int[Tensor, " b"], temperature: float) -> Float[Tensor, ""]:
    """Supervised contrastive loss of unit vectors, eq. 2 (L_out) of P. Khosla et al. (2020).

    Mean over the images that have another one of their class in the batch; 0 where none has.
    """
    alike = labels[:, None] == labels[None]
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    scores = (z @ z.T / temperature).masked_fill(own, float("-inf"))
    log_share = torch.where(own, 0.0, log_softmax(scores, 1))
    positives = alike & ~own
    counts = positives.sum(1)
    each = -torch.where(positives, log_share, 0.0).sum(1) / counts.clamp(min=1)
    return each.sum() / (counts > 0).sum().clamp(min=1)


@dataclass(frozen=True)
class SupCon(Loss):
    """Cross entropy + weight times the supervised contrastive loss of Z at cuts, maps averaged over positions.

    P. Khosla et al., "Supervised Contrastive Learning" (2020), as an addition to cross entropy as the authors have it
    (R. Liu et al., ICML 2026, published script: weight 0.1, temperature 0.07; their sum counts each image as its own
    positive, which is left out here).

    Attributes:
        weight: Of the addition, at least 0.
        temperature: Divides the cosines.
    """

    weight: float = 0.1
    temperature: float = 0.07
    on_cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_within("the weight of supcon", self.weight, 0, 100)

    @property
    def spec(self) -> str:
        """supcon:WEIGHT."""
        return f"supcon:{self.weight:g}"

    def refuses(self, targets: Targets) -> str | None:
        """Blends are alike to nobody."""
        return needs_class(targets)

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        labels = labels_of(answers)
        terms = [supcon(normalize(_positions_out(z), dim=1), labels, self.temperature) for z in answers.z.values()]
        return cross_entropy(answers.logits, answers.targets) + self.weight * torch.stack(terms).mean()


def class_variance(z: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> tuple[Tensor, Tensor]:
    """Variance of each element within each class, and the number of images behind it.

    Returns:
        v (classes present, d), unbiased by n / (n - 1), and n; of the classes with two images or more.
    """
    present, where, count = torch.unique(labels, return_inverse=True, return_counts=True)
    n = count[:, None].to(z.dtype)
    mean = z.new_zeros(len(present), z.shape[1]).index_add(0, where, z) / n
    squares = z.new_zeros(mean.shape).index_add(0, where, (z - mean[where]).square())
    enough = count >= 2
    return squares[enough] / (n[enough] - 1), count[enough]


@dataclass(frozen=True)
class ClassRadius(Loss):
    """Cross entropy + weight times the log of the class radius per element over a noise floor, at cuts.

    L_C = mean over classes and elements of ReLU(ln(v_cj + gamma) - ln(tau sigma^2 + gamma)), v_cj the variance of
    element j within class c: the conditional entropy surrogate of S. Xia et al., "Theoretical Insights in Model
    Inversion Robustness and Conditional Entropy Maximization" (CVPR 2025), with one centre a class and the batch's own
    variance in the place of k-means centres and a running mean. Nothing is gained below the floor, which is what noise
    of deviation sigma, added to Z where it is used, would hide; this loss adds none.

    Z is bounded first, as there: by a sigmoid each element ("sigmoid"), or each element less its batch mean over its
    batch deviation ("standard"). The sigmoid keeps Z from growing away from the floor, yet shrinking Z still lowers
    the loss without hiding anything; the standardised form cannot be lowered by any scale or shift of an element.

    Attributes:
        weight: Of the addition, at least 0; the authors have 8 and 16.
        bound: "sigmoid" or "standard".
        sigma: Deviation of the noise, in units of the bounded Z.
        tau: What share of the noise's power the floor is.
        gamma: Keeps the logarithm from falling without end.
    """

    weight: float = 8.0
    bound: str = "sigmoid"
    sigma: float = 0.1
    tau: float = 0.125
    gamma: float = 0.01
    on_cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_within("the weight of radius", self.weight, 0, 1000)

    @property
    def spec(self) -> str:
        """radius:WEIGHT, or radius-standard:WEIGHT."""
        return f"{'radius' if self.bound == 'sigmoid' else 'radius-standard'}:{self.weight:g}"

    def refuses(self, targets: Targets) -> str | None:
        """Blends are of no class."""
        return needs_class(targets)

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        labels = labels_of(answers)
        terms = [self.excess(z.flatten(1), labels) for z in answers.z.values()]
        return cross_entropy(answers.logits, answers.targets) + self.weight * torch.stack(terms).mean()

    def excess(self, z: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """L_C of one cut; 0 where no class has two images."""
        variance, count = class_variance(BOUNDS[self.bound](z.float()), labels)
        if not len(count):
            return z.sum() * 0.0
        floor = math.log(self.tau * self.sigma**2 + self.gamma)
        return (torch.log(variance + self.gamma) - floor).relu().mean()


def standardised(z: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """Each element less its mean over the batch, over its deviation there."""
    centred = z - z.mean(0)
    return centred * torch.rsqrt(centred.square().mean(0) + 1e-5)


BOUNDS: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "standard": standardised}
"""How Z is bounded before its radius is taken."""


def _positions_out(z: Tensor) -> Float[Tensor, "b d"]:
    """Maps averaged over their positions; everything else flattened."""
    return z.float().mean((2, 3)) if z.ndim == 4 else z.float().flatten(1)
