"""For each victim, the image of a generator whose Z is nearest: what is known of all images fills in what Z lacks.

Li et al.: GAN You See Me? Enhanced Data Reconstruction Attacks against Split Inference, 2023, search the latent space
of a large generator that others trained. Here it is a small one of the attacker's own images, and the weight of its
prior is chosen on the attacker's selection images instead of being set.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from goldcut.attacks.base import Attack, Half, Inverse, View
from goldcut.attacks.decoder import CAPS
from goldcut.attacks.objective import SIDE_BY_SIDE, Objective, Starts
from goldcut.attacks.prior import Prior
from goldcut.attacks.transforms import choose_transform
from goldcut.errors import AttackError
from goldcut.fitting import is_converged
from goldcut.networks.generator import ImageVAE
from goldcut.progress import Progress, silent
from goldcut.records import Knowledge

WEIGHTS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Weights of the prior that are tried, against a distance of 2 between two images that have nothing in common."""

ROUNDS = 20
"""Looks at the selection images during the search, which say whether it has converged."""

Tell = Callable[[float], None]
"""Told the share of a search that is done."""


@dataclass(frozen=True)
class LatentSearch(Attack):
    """A search in the latent space of a generator; how it goes on from its start is what the kinds differ in.

    Attributes:
        prior: The generator.
        steps: Steps of the search for each victim.
        count: Victims that are searched for.
        chosen_on: Selection images that choose the weight of the prior.
    """

    prior: Prior = field(default_factory=Prior)
    steps: int = 200
    count: int = 64
    chosen_on: int = 16

    @property
    def victims(self) -> int:
        return self.count

    @property
    def follows(self) -> bool:
        return True

    def at_effort(self, effort: str) -> "LatentSearch":
        return replace(self, steps=round(CAPS[effort] * self.steps))

    @abstractmethod
    def half(self, view: View) -> Half:
        """The edge as this search may use it."""

    @abstractmethod
    def search(
        self, objective: Objective, starts: Float[Tensor, "n latent"], seed: int, tell: Tell
    ) -> Float[Tensor, "rounds n latent"]:
        """The best latent vectors so far, after each of ROUNDS equal parts of the search."""

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        generator, half = self.prior.take(view, progress), self.half(view)
        transform = choose_transform(view, seed=seed)
        starts = Starts.draw(view, generator, half, transform, seed)

        def look(z: Tensor, weights: Tensor) -> Tensor:
            objective = Objective(generator, half, transform, transform(z).flatten(1), weights)

            def tell(share: float) -> None:
                progress(self.name, share, 1)

            return self.search(objective, starts.nearest(objective, z), seed, tell)

        rows = np.sort(np.random.default_rng((seed, 14)).permutation(len(view.selection))[: self.chosen_on])
        z = view.selection.representations(torch.from_numpy(rows), view.device)
        truth = view.selection.targets(torch.from_numpy(rows), view.device)
        # All weights at once: each image is searched for as often as there are weights.
        weights = torch.tensor(WEIGHTS, device=view.device).repeat_interleave(len(rows))
        rounds = look(z.repeat(len(WEIGHTS), *[1] * (z.ndim - 1)), weights)
        scores = np.array([_errors(generator, latents, truth) for latents in rounds])
        best = int(scores[-1].argmin())

        def invert(z: Tensor) -> Tensor:
            images: Tensor = generator(look(z, torch.full((len(z),), WEIGHTS[best], device=view.device))[-1])
            return images

        return Inverse(
            invert,
            selection_mse=float(scores[-1, best]),
            converged=is_converged(scores[:, best].tolist()),
            steps=self.steps,
            transform=transform.name,
            settings={**asdict(self), "weight": WEIGHTS[best]},
            note=f"weight of the prior chosen on {len(rows)} selection images",
            device=view.device,
        )


def _errors(generator: ImageVAE, latents: Tensor, truth: Tensor) -> list[float]:
    """Mean squared error for each weight of the prior."""
    errors = [(generator(part) - truth).square().mean(dtype=torch.float64) for part in torch.split(latents, len(truth))]
    return [float(error) for error in errors]


@dataclass(frozen=True)
class Latent(LatentSearch):
    """Adam through the generator and the edge.

    Attributes:
        rate: Learning rate of Adam; a tenth of it in the last quarter of the steps, where the gain of the lower rate
            counts against calling the search converged.
    """

    rate: float = 0.05

    @property
    def name(self) -> str:
        return "latent"

    @property
    def needs(self) -> Knowledge:
        return "weights"

    def half(self, view: View) -> Half:
        if view.edge is None:
            raise AttackError("the search of latent vectors needs gradients of the edge", "Use latent-query without.")
        return view.edge

    def search(
        self, objective: Objective, starts: Float[Tensor, "n latent"], seed: int, tell: Tell
    ) -> Float[Tensor, "rounds n latent"]:
        parts = torch.split(torch.arange(len(starts), device=starts.device), SIDE_BY_SIDE)
        found = []
        for place, part in enumerate(parts):
            share = partial(_tell_part, tell, place, len(parts))
            found.append(self._descend(objective.of(part), starts[part], share))
        return torch.cat(found, dim=1)

    def _descend(self, objective: Objective, starts: Tensor, tell: Tell) -> Tensor:
        latents = starts.clone().requires_grad_()
        optimiser = torch.optim.Adam([latents], lr=self.rate)
        best, least = starts, torch.full((len(starts),), float("inf"), device=starts.device)
        rounds: list[Tensor] = []
        for step in range(self.steps):
            if step == (3 * self.steps) // 4:
                optimiser.param_groups[0]["lr"] = self.rate / 10
            with torch.enable_grad():
                values = objective(latents)
                (latents.grad,) = torch.autograd.grad(values.sum(), latents)
            nearer = values.detach() < least
            best = torch.where(nearer[:, None], latents.detach(), best)
            least = torch.where(nearer, values.detach(), least)
            optimiser.step()
            while (step + 1) * ROUNDS >= (len(rounds) + 1) * self.steps:
                rounds.append(best)
            tell((step + 1) / self.steps)
        return torch.stack(rounds)


def _tell_part(tell: Tell, place: int, parts: int, share: float) -> None:
    tell((place + share) / parts)
