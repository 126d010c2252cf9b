"""Masks that a stochastic edge lays over Z: an element comes as it is or as 0, anew at each pass.

The mean over passes of such a Z errs by how often each element happened to come. Whoever counts that divides by it
instead, and has Z to the last digit wherever an element came at least once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from goldcut.cuts import CutGraph, read_cuts
from goldcut.sources.images import Images

IMAGES = 128
"""Of the attacker's, that tell whether there is a mask."""

SAME = 1e-4
"""Relative difference up to which an element that came twice is the same."""


@dataclass(frozen=True)
class Mask:
    """What is known of a mask by who knows the edge half without it.

    Attributes:
        factor: What an element that came is multiplied by to be the one of Z.
        blank: Chance that an element that came at no pass is 0 in Z itself.
    """

    factor: float
    blank: float


def describe_mask(seen: Float[Tensor, "n ..."], share: float, queries: int) -> Mask:
    """The mask over Z that was seen.

    Args:
        seen: As read_features reads it.
        share: Of elements that the mask lets through.
        queries: Passes of each image.

    Example:
        >>> describe_mask(torch.tensor([[2.0, 0.0, 0.0, 4.0]]), 0.5, 1)
        Mask(factor=0.5, blank=0.0)
    """
    zeros, missed = float((seen == 0).float().mean()), (1 - share) ** queries
    true_zeros = max(0.0, (zeros - missed) / (1 - missed))
    return Mask(share if queries == 1 else 1.0, true_zeros / zeros if zeros else 1.0)


def find_masks(graph: CutGraph, images: Images, names: Sequence[str], device: str) -> dict[str, float]:
    """The share of elements that a mask lets through, at the cuts where Z is masked.

    Args:
        graph: From find_cuts; its model is on the device.
        images: Of the attacker's; two passes of some of them are compared.
        names: Of cuts.
        device: Where the model is.
    """
    batch = images.batch(np.arange(min(IMAGES, len(images)))).to(device)
    before: dict[str, Tensor] = {}
    shares: dict[str, float] = {}

    def compare(name: str, z: Tensor) -> None:
        share = estimate_share(before.pop(name), z)
        if share is not None:
            shares[name] = share

    read_cuts(graph, batch, names, lambda name, z: before.update({name: z.clone()}))
    read_cuts(graph, batch, names, compare)
    return shares


def estimate_share(once: Float[Tensor, "n ..."], again: Float[Tensor, "n ..."]) -> float | None:
    """The share p of elements that a mask lets through, from two passes; None where it is no mask that differs.

    Of the elements that came at least once, p / (2 - p) came twice, whether or not some of Z is 0 anyway.

    Example:
        >>> estimate_share(torch.tensor([[1.0, 0.0, 3.0]]), torch.tensor([[1.0, 2.0, 0.0]]))
        0.5
    """
    came, came_again = once != 0, again != 0
    both, either = came & came_again, came | came_again
    twice, ever = int(both.sum()), int(either.sum())
    if twice in (0, ever) or not torch.allclose(once[both], again[both], rtol=SAME, atol=0.0):
        return None
    return 2 * twice / (ever + twice)
