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

from goldcut.attacks.base import BATCH, Attack, Half, Inverse, View
from goldcut.attacks.baselines import nearest_images
from goldcut.attacks.decoder import CAPS
from goldcut.attacks.prior import Prior
from goldcut.attacks.transforms import Transform, choose_transform
from goldcut.errors import AttackError
from goldcut.fitting.loop import is_converged
from goldcut.networks.generator import ImageVAE
from goldcut.progress import Progress, silent
from goldcut.records import Knowledge
from goldcut.sources.body import import_extra

WEIGHTS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Weights of the prior that are tried, against a distance of 2 between two images that have nothing in common."""

RANDOM = 64
"""Random latent vectors, of which each victim starts from the nearest unless another start is nearer."""

ROUNDS = 20
"""Looks at the selection images during the search, which say whether it has converged."""

SIDE_BY_SIDE = 32
"""Images that pass the edge together."""

Tell = Callable[[float], None]
"""Told the share of a search that is done."""


@dataclass(frozen=True, eq=False)
class Objective:
    """What is made small: the distance of Z, and of the latent vector from the middle of its prior.

    Attributes:
        generator: From latent vectors to images.
        half: From images to Z.
        transform: Of Z; it brings each channel to deviation 1, so that none drowns the others.
        seen: (n, D) transformed Z of the victims.
        weights: (n,) weight of the prior for each.
    """

    generator: ImageVAE
    half: Half
    transform: Transform
    seen: Float[Tensor, "n d"]
    weights: Float[Tensor, " n"]

    def __call__(self, latents: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
        """Mean squared difference of Z per element, plus the weighted mean square of the latent vector."""
        z = self.transform(self.half(self.generator(latents))).flatten(1)
        return (z - self.seen).square().mean(1) + self.weights * latents.square().mean(1)

    def of(self, rows: Tensor) -> "Objective":
        """The same for some of the victims, in the order of the rows."""
        return replace(self, seen=self.seen[rows], weights=self.weights[rows])


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
        starts = _Starts.draw(view, generator, half, transform, seed)

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


@dataclass(frozen=True, eq=False)
class _Starts:
    """Where a search begins: a random image, the attacker's image with the nearest Z, or what a finished attack made.

    Attributes:
        view: What the attacker has.
        generator: Whose encoder says where an image lies.
        bank: (RANDOM, latent) random latent vectors.
        z: (RANDOM, D) transformed Z of their images.
    """

    view: View
    generator: ImageVAE
    bank: Tensor
    z: Tensor

    @classmethod
    def draw(cls, view: View, generator: ImageVAE, half: Half, transform: Transform, seed: int) -> "_Starts":
        noise = torch.Generator().manual_seed(seed)
        bank = torch.randn(RANDOM, generator.latent, generator=noise).to(view.device)
        with torch.no_grad():
            z = torch.cat([transform(half(generator(part))).flatten(1) for part in torch.split(bank, SIDE_BY_SIDE)])
        return cls(view, generator, bank, z)

    @torch.no_grad()
    def nearest(self, objective: Objective, z: Float[Tensor, "n ..."]) -> Float[Tensor, "n latent"]:
        """For each victim the start with the least objective."""
        images = [nearest_images(self.view.training, z.cpu(), self.view.device)]
        if self.view.starts:
            images.append(min(self.view.starts, key=lambda one: one.selection_mse)(z))
        apart = torch.stack([(self.z - seen).square().mean(1) for seen in objective.seen])
        by_chance = (apart + objective.weights[:, None] * self.bank.square().mean(1)).argmin(1)
        best, least = self.bank[by_chance], evaluate(objective, self.bank[by_chance])
        for painted in images:
            encoded = torch.cat([self.generator.encode(part.to(z.device))[0] for part in torch.split(painted, BATCH)])
            value = evaluate(objective, encoded)
            best = torch.where((value < least)[:, None], encoded, best)
            least = torch.minimum(value, least)
        return best


@torch.no_grad()
def evaluate(objective: Objective, latents: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
    """The objective of each victim, a few of them at a time."""
    parts = torch.split(torch.arange(len(latents), device=latents.device), SIDE_BY_SIDE)
    return torch.cat([objective.of(part)(latents[part]) for part in parts])


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


@dataclass(frozen=True)
class LatentQuery(LatentSearch):
    """CMA-ES (Hansen, Ostermeier: Completely Derandomized Self-Adaptation, 2001), which only asks the edge.

    A step is a generation of 4 + 3 ln(latent) images, the method's own choice. Its deviation is GLASS's 0.4.
    """

    steps: int = 200
    count: int = 16
    chosen_on: int = 8
    deviation: float = 0.4

    @property
    def name(self) -> str:
        return "latent-query"

    def half(self, view: View) -> Half:
        import_extra("cmaes", "search")
        if view.query is None:
            raise AttackError("the search of latent vectors needs an edge that can be asked")
        return view.query

    def search(
        self, objective: Objective, starts: Float[Tensor, "n latent"], seed: int, tell: Tell
    ) -> Float[Tensor, "rounds n latent"]:
        cmaes = import_extra("cmaes", "search")
        crowd = [cmaes.CMA(start, self.deviation, seed=seed) for start in starts.double().cpu().numpy()]
        size = crowd[0].population_size
        rows = torch.arange(len(starts), device=starts.device).repeat_interleave(size)
        best, least = starts.clone(), evaluate(objective, starts)
        rounds: list[Tensor] = []
        for step in range(self.steps):
            asked = np.stack([one.ask() for one in crowd for _ in range(size)])
            latents = torch.from_numpy(asked).to(starts)
            values = evaluate(objective.of(rows), latents).reshape(-1, size)
            for one, points, told in zip(crowd, asked.reshape(-1, size, asked.shape[1]), values.tolist(), strict=True):
                one.tell(list(zip(points, told, strict=True)))
            value, place = values.min(dim=1)
            nearer = value < least
            chosen = latents.reshape(len(starts), size, -1)[torch.arange(len(starts)), place]
            best, least = torch.where(nearer[:, None], chosen, best), torch.minimum(value, least)
            while (step + 1) * ROUNDS >= (len(rounds) + 1) * self.steps:
                rounds.append(best)
            tell((step + 1) / self.steps)
        return torch.stack(rounds)
