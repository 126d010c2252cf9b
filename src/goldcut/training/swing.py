"""One step's change of R_c^2 at a cut, split by the logits that cause it: the paper's Neural Vortex, exactly.

R. Liu et al., "Partitioning for Intrinsic Model Inversion Resistance in Collaborative Inference" (ICML 2026). With
J_i the Jacobian of the logits in z_i and T_ki = (z_i - mu_c)^T J_i^T e_k, the step z_i - gamma J_i^T (p_i - q_i) gives

    Delta R_c^2 = -(2 gamma / N_c) sum_i [ (p_ic - q_ic) T_ci + sum_{k != c} (p_ik - q_ik) T_ki ]
                  + (gamma^2 / N_c) sum_i |g_i - mean g|^2

The first sum is the pull of the true class, which changes its sign where p_ic passes q_ic; the second one is the
interference of the others. The directional derivatives T of all logits come from one pass through the cloud half,
differentiated twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

CHUNK = 64
"""Images that pass the cloud half together."""


@dataclass(frozen=True)
class Swing:
    """The terms of Delta R_c^2, each an unweighted mean over the classes with two images or more.

    Attributes:
        pull: First order, through the true class's logit.
        interference: First order, through the other logits.
        second_order: Of the step's own length.
        past_flip: Share of images with p_ic > q_ic.
    """

    pull: float
    interference: float
    second_order: float
    past_flip: float

    @property
    def total(self) -> float:
        """The change of R_c^2 for the step in Z."""
        return self.pull + self.interference + self.second_order


def class_radius_sq(z: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> float:
    """R_c^2: mean over classes with two images or more of the mean squared distance to the class mean.

    Example:
        >>> class_radius_sq(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 1]))
        1.0
    """
    return over_classes((z - class_means(z, labels)).double().square().sum(1), labels)


def class_means(z: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
    """The mean of each row's class."""
    _, where, count = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = z.new_zeros(len(count), z.shape[1]).index_add(0, where, z)
    means: Tensor = (sums / count[:, None].to(z.dtype))[where]
    return means


def over_classes(values: Float[Tensor, " n"], labels: Int[Tensor, " n"]) -> float:
    """Mean within each class, then the plain mean over the classes with two images or more; nan where there is none."""
    _, where, count = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = values.new_zeros(len(count)).index_add(0, where, values)
    return float((sums / count)[count >= 2].mean())


def split_step(
    cloud: Callable[[Tensor], Tensor],
    z: Float[Tensor, " n *shape"],
    labels: Int[Tensor, " n"],
    targets: Float[Tensor, "n k"],
    gamma: float,
) -> Swing:
    """What a step of length gamma along the gradient of -sum_k q_k ln p_k in Z does to R_c^2.

    Args:
        cloud: Z to logits.
        z: Z of all images, whose class means are taken.
        labels: Their true classes.
        targets: q.
        gamma: Length of the step; each image takes its own gradient.
    """
    offset = z - class_means(z.flatten(1), labels).view_as(z)
    slopes, residuals, gradients = [], [], []
    for start in range(0, len(z), CHUNK):
        rows = slice(start, start + CHUNK)
        slope, residual, gradient = _derive(cloud, z[rows], offset[rows], targets[rows])
        slopes.append(slope)
        residuals.append(residual)
        gradients.append(gradient)
    parts = torch.cat(residuals).double() * torch.cat(slopes).double()
    of_class = parts.gather(1, labels[:, None])[:, 0]
    gradient = torch.cat(gradients).flatten(1)
    return Swing(
        pull=-2 * gamma * over_classes(of_class, labels),
        interference=-2 * gamma * over_classes(parts.sum(1) - of_class, labels),
        second_order=gamma**2 * class_radius_sq(gradient, labels),
        past_flip=float((torch.cat(residuals).gather(1, labels[:, None]) > 0).double().mean()),
    )


def _derive(
    cloud: Callable[[Tensor], Tensor], z: Tensor, direction: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """T of every logit along the direction, p - q, and the gradient J^T (p - q)."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        leaf = z.detach().requires_grad_()
        logits = cloud(leaf)
        residual = (logits.detach().softmax(1) - targets).to(logits.dtype)
        (gradient,) = torch.autograd.grad(logits, leaf, residual, retain_graph=True)
        weights = torch.zeros_like(logits, requires_grad=True)  # J^T w is linear in w, so its slope in w is J
        (pulled_back,) = torch.autograd.grad(logits, leaf, weights, create_graph=True)
        (slope,) = torch.autograd.grad((pulled_back * direction).sum(), weights)
    return slope, residual, gradient
