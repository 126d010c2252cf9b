"""What a search in the latent space makes small, and where it begins."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from goldcut.attacks.base import BATCH, Half, View
from goldcut.attacks.baselines import nearest_images
from goldcut.attacks.transforms import Transform
from goldcut.networks.generator import ImageVAE

RANDOM = 64
"""Random latent vectors, of which each victim starts from the nearest unless another start is nearer."""

SIDE_BY_SIDE = 32
"""Images that pass the edge together."""


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


@torch.no_grad()
def evaluate(objective: Objective, latents: Float[Tensor, "n latent"]) -> Float[Tensor, " n"]:
    """The objective of each victim, a few of them at a time."""
    parts = torch.split(torch.arange(len(latents), device=latents.device), SIDE_BY_SIDE)
    return torch.cat([objective.of(part)(latents[part]) for part in parts])


@dataclass(frozen=True, eq=False)
class Starts:
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
    def draw(cls, view: View, generator: ImageVAE, half: Half, transform: Transform, seed: int) -> "Starts":
        """With a bank of random latent vectors, the same for all victims, so that it passes the edge once."""
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
