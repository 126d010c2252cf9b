"""What a model is taught: label distributions, pure functions of labels and chance.

one-hot        q_y = 1
smooth:A       q_y = 1 - A, q_k = A / (K - 1): R. Liu et al., "Partitioning for Intrinsic Model Inversion
               Resistance in Collaborative Inference" (ICML 2026), after C. Szegedy et al., "Rethinking the
               Inception Architecture" (2016), whose epsilon (PyTorch's `label_smoothing`) is A K / (K - 1).
               Negative A: L. Struppek et al., "Be Careful What You Smooth For" (ICLR 2024).
teacher:CKPT   q = softmax of the same network with other weights: G. Hinton et al., "Distilling the Knowledge
               in a Neural Network" (2015), at temperature 1 and without the labels
mixup:A        H. Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018)
cutmix:A       S. Yun et al., "CutMix" (2019)
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

HELD, FULL = 0.25, 0.5
"""Negative smoothing is 0 for the first quarter of the steps, then grows linearly to its full size at half of them."""


def one_hot(labels: Int[Tensor, " b"], classes: int) -> Float[Tensor, "b k"]:
    """All mass on the class."""
    return smoothed(labels, classes, 0.0)


def smoothed(labels: Int[Tensor, " b"], classes: int, alpha: float) -> Float[Tensor, "b k"]:
    """1 - alpha on the class, alpha / (K - 1) on each other one; alpha may be negative.

    Example:
        >>> smoothed(torch.tensor([1]), 3, 0.5)
        tensor([[0.2500, 0.5000, 0.2500]])
    """
    targets = torch.full((len(labels), classes), alpha / (classes - 1), device=labels.device)
    return targets.scatter_(1, labels[:, None], 1 - alpha)


def warmed(alpha: float, share: float) -> float:
    """The smoothing in force when a share of the steps is taken: a negative one is held back, then grows.

    Example:
        >>> warmed(-0.04, 0.375), warmed(-0.04, 0.9), warmed(0.3, 0.0)
        (-0.02, -0.04, 0.3)
    """
    return alpha if alpha >= 0 else alpha * min(1.0, max(0.0, (share - HELD) / (FULL - HELD)))


def blend(
    images: Float[Tensor, "b c h w"], targets: Float[Tensor, "b k"], order: Int[Tensor, " b"], keep: float
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b k"]]:
    """`keep` of each image and its target, the rest from the one that `order` names."""
    return keep * images + (1 - keep) * images[order], keep * targets + (1 - keep) * targets[order]


def patch(
    images: Float[Tensor, "b c h w"],
    targets: Float[Tensor, "b k"],
    order: Int[Tensor, " b"],
    box: tuple[int, int, int, int],
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b k"]]:
    """Rows top to bottom and columns left to right come from another image, and so much of its target."""
    top, bottom, left, right = box
    patched = images.clone()
    patched[:, :, top:bottom, left:right] = images[order, :, top:bottom, left:right]
    share = (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
    return patched, (1 - share) * targets + share * targets[order]


def draw_box(height: int, width: int, keep: float, noise: np.random.Generator) -> tuple[int, int, int, int]:
    """A box of (1 - keep) of the area around a uniform centre, clipped at the border: top, bottom, left, right."""
    side = (1 - keep) ** 0.5
    edges = []
    for length in (height, width):
        centre, half = int(noise.integers(length)), int(length * side) // 2
        edges += [max(0, centre - half), min(length, centre + half)]
    return edges[0], edges[1], edges[2], edges[3]


def mixup(
    images: Tensor, targets: Tensor, order: Tensor, keep: float, drawn: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Weighted sums of two images."""
    return blend(images, targets, order, keep)


def cutmix(
    images: Tensor, targets: Tensor, order: Tensor, keep: float, drawn: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A box of each image comes from another one."""
    return patch(images, targets, order, draw_box(images.shape[2], images.shape[3], keep, drawn))


MIXTURES = {"mixup": mixup, "cutmix": cutmix}
"""How two images become one."""
