"""Point-wise transforms of Z that an attacker tries: what looks safe may only be squeezed.

A softmax carries what the logits carry, up to a shift, in digits that a linear map cannot see; its
logarithm shows them again. Each transform is fitted on the attacker's training Z and the best one is
chosen by a small ridge regression on the attacker's selection images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from goldcut.attacks.base import BATCH, View
from goldcut.attacks.linear import fit_ridge
from goldcut.records import Kind

TRIAL_TRAINING = 1024
TRIAL_SELECTION = 512
TRIAL_ELEMENTS = 256
TRIAL_PIXELS = 128
CLIP = 5.0
"""Standard deviations at which "clip" ends."""


@dataclass(frozen=True, eq=False)
class Transform:
    """A function of each element of Z, then a shift and a scale per channel, then limits.

    Attributes:
        name: One of TRANSFORMS.
        point: What is done to each element first.
        mean: Subtracted; broadcasts against (b, *z_shape).
        std: Divided by.
        limit: Largest absolute value that passes.
    """

    name: str
    point: Callable[[Tensor], Tensor]
    mean: Tensor
    std: Tensor
    limit: float = float("inf")

    def __call__(self, z: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        scaled = (self.point(z) - self.mean) / self.std
        return scaled if self.limit == float("inf") else scaled.clamp(-self.limit, self.limit)

    def to(self, device: str) -> "Transform":
        """The same on another device."""
        return Transform(self.name, self.point, self.mean.to(device), self.std.to(device), self.limit)


def _identity(z: Tensor) -> Tensor:
    return z


def _log(least: float) -> Callable[[Tensor], Tensor]:
    return lambda z: z.clamp_min(least).log()


def _logit(least: float) -> Callable[[Tensor], Tensor]:
    # 2**-24 is the distance from 1 to its neighbour in float32: a saturated sigmoid is no further away.
    return lambda z: z.clamp(min(least, 2.0**-24), 1 - 2.0**-24).logit()


TRANSFORMS: tuple[str, ...] = ("standardise", "clip", "log", "logit", "centre")
"""In this order: of two that are equally good the first is taken."""


def point_function(name: str, z: Float[Tensor, "n ..."]) -> Callable[[Tensor], Tensor] | None:
    """What a transform does to each element; None where the values of Z do not allow it."""
    if name not in ("log", "logit"):
        return _identity
    positive = z[z > 0]
    if z.min() < 0 or not len(positive) or (name == "logit" and z.max() > 1):
        return None
    least = float(positive.min())
    return _log(least) if name == "log" else _logit(least)


def fit_transform(name: str, z: Float[Tensor, "n ..."], kind: Kind) -> Transform | None:
    """A transform with its constants from samples of Z; None where it does not apply.

    Channels are the first axis of a map, the last of tokens, and every feature of a vector.
    """
    point = point_function(name, z)
    if point is None:
        return None
    shape = [1] * z.ndim
    axis = 1 if kind in ("map", "vector") else z.ndim - 1
    over = [dim for dim in range(z.ndim) if dim != axis]
    count, total = 0, torch.zeros(z.shape[axis], dtype=torch.float64)
    for part in torch.split(z, BATCH):
        count, total = count + part.numel() // z.shape[axis], total + point(part).double().sum(over)
    mean = total / count
    shape[axis] = z.shape[axis]
    mean = mean.reshape(shape)
    squares = torch.zeros(z.shape[axis], dtype=torch.float64)
    for part in torch.split(z, BATCH):
        squares += (point(part).double() - mean).square().sum(over)
    std = (squares / count).sqrt().reshape(shape)
    if name == "centre":  # one scale for all channels: their relative size may tell how much they say
        std = std.square().mean().sqrt().expand_as(std)
    # A channel that never changes says nothing: it is left at zero instead of being blown up.
    std = torch.where(std > 1e-6 * (mean.abs() + 1e-12), std, torch.ones(()).double())
    return Transform(name, point, mean.float(), std.float(), CLIP if name == "clip" else float("inf"))


def choose_transform(view: View, *, seed: int) -> Transform:
    """The transform whose ridge regression errs least on selection images, fitted on all training Z.

    The trial is small (1,024 training and 512 selection images, 256 elements of Z, 128 pixels): it is to see
    whether Z is squeezed, not to win by a hair, so another transform must be 2 % better than the first.
    """
    rng = np.random.default_rng((seed, 11))
    rows = torch.from_numpy(np.sort(rng.permutation(len(view.training))[:TRIAL_TRAINING]))
    others = torch.from_numpy(np.sort(rng.permutation(len(view.selection))[:TRIAL_SELECTION]))
    z, z_other = view.training.representations(rows), view.selection.representations(others)
    elements = int(z[0].numel())
    columns = torch.from_numpy(np.sort(rng.permutation(elements)[:TRIAL_ELEMENTS]))
    pixels = slice(None, None, -(-view.selection.images[0].numel() // TRIAL_PIXELS))
    x = view.training.targets(rows).flatten(1)[:, pixels]
    x_other = view.selection.targets(others).flatten(1)[:, pixels]
    best, least = "standardise", float("inf")
    for name in TRANSFORMS:
        transform = fit_transform(name, z, view.kind)
        if transform is None:
            continue
        seen, seen_other = (transform(part).flatten(1)[:, columns] for part in (z, z_other))
        erred = fit_ridge(lambda seen=seen: [(seen, x)], seen_other, x_other)[2]  # type: ignore[misc]
        if erred < 0.98 * least:
            best, least = name, erred
    chosen = fit_transform(best, view.training.features, view.kind) or fit_transform("standardise", z, view.kind)
    assert chosen is not None
    return chosen.to(view.device)
