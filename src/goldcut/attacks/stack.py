"""Finished attacks together: what each of them makes, weighted as fits the attacker's selection images best.

Wolpert: Stacked Generalization, 1992; weights that are never negative after Breiman: Stacked Regressions, 1996. It
costs no training: attacks that err differently, such as the closed form and a network, err less together.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from goldcut.attacks.base import BATCH, Attack, Inverse, View, selection_error
from goldcut.attacks.decoder import usual_decoder
from goldcut.attacks.ridge import Ridge
from goldcut.attacks.substitute import beside
from goldcut.progress import Progress, silent


@dataclass(frozen=True)
class Stack(Attack):
    """The mean image plus the weighted distance of each finished attack from it.

    Attributes:
        members: What is carried out where nothing is finished.
    """

    members: tuple[Attack, ...] = field(default_factory=lambda: (Ridge(), usual_decoder("S")))

    @property
    def name(self) -> str:
        return "stack"

    @property
    def follows(self) -> bool:
        return True

    def at_effort(self, effort: str) -> "Stack":
        return replace(self, members=tuple(one.at_effort(effort) for one in self.members))

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        starts = view.starts or tuple(
            replace(
                one.train(view, seed=seed, progress=progress, checkpoint=beside(checkpoint, one.name)), attack=one.name
            )
            for one in self.members
        )
        mean = view.training.images.float().mean(0) / 255
        made = torch.stack([start(view.selection.features) - mean for start in starts]).flatten(2)
        missed = (view.selection.targets(slice(None)) - mean).flatten(1)
        weights = nonnegative_weights(made, missed)
        shares = {start.attack: weight for start, weight in zip(starts, weights.tolist(), strict=True)}
        progress(self.name, 1, 1)
        best = min(starts, key=lambda one: one.selection_mse)
        error = cross_fitted_error(made, missed)
        gained = error < best.selection_mse
        chosen = weighted(starts, weights.tolist(), mean.to(view.device)) if gained else best.invert
        with torch.no_grad():
            reached = selection_error(view, chosen)
        return Inverse(
            chosen,
            selection_mse=reached,
            converged=all(one.converged for one in starts),
            transform=" ".join(dict.fromkeys(one.transform for one in starts)),
            settings={**asdict(self), "weights": shares, "cross_fitted_mse": error},
            note="" if gained else "the best attack alone: nothing is gained by the others",
            device=view.device,
        )


def weighted(starts: Sequence[Inverse], weights: Sequence[float], mean: Tensor) -> Callable[[Tensor], Tensor]:
    """From Z to the mean image plus the weighted distance of what each attack makes from it."""

    def invert(z: Tensor) -> Tensor:
        made = mean.expand(len(z), *mean.shape)
        for start, weight in zip(starts, weights, strict=True):
            if weight:
                made = made + weight * (start.invert(z).clamp(0, 1) - mean)
        return made

    return invert


def nonnegative_weights(made: Float[Tensor, "k n d"], missed: Float[Tensor, "n d"]) -> Float[Tensor, " k"]:
    """Weights w of at least 0 for which the sum of w_k made_k is nearest to what is missed (least squares).

    Args:
        made: What each attack makes, less the mean image.
        missed: What it should be.
    """
    from sklearn.linear_model import LinearRegression

    gram, right = torch.zeros(len(made), len(made)).double(), torch.zeros(len(made)).double()
    for part, wanted in zip(torch.split(made, BATCH, 1), torch.split(missed, BATCH), strict=True):
        gram += torch.einsum("and,bnd->ab", part.double(), part.double())
        right += torch.einsum("and,nd->a", part.double(), wanted.double())
    # The solver wants a matrix and not its square: any root of the Gram matrix gives the same problem.
    values, vectors = torch.linalg.eigh(gram)
    root = values.clamp_min(0).sqrt()
    keep = root > 1e-9 * root.max()
    matrix = root[keep, None] * vectors[:, keep].T
    target = (vectors[:, keep].T @ right) / root[keep]
    solver = LinearRegression(positive=True, fit_intercept=False).fit(matrix.numpy(), target.numpy())
    return torch.from_numpy(np.asarray(solver.coef_))


def cross_fitted_error(made: Float[Tensor, "k n d"], missed: Float[Tensor, "n d"]) -> float:
    """Mean squared error where each half of the images is weighted by what fits the other half."""
    n = missed.shape[0]
    halves = torch.arange(n) % 2 == 0
    total = 0.0
    for fitted in (halves, ~halves):
        weights = nonnegative_weights(made[:, fitted], missed[fitted]).to(missed)
        left = missed[~fitted] - torch.einsum("k,knd->nd", weights, made[:, ~fitted])
        total += float(left.square().sum(dtype=torch.float64))
    return total / missed.numel()
