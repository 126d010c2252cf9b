"""The search in the latent space without gradients: an attacker who may only ask the edge."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from goldcut.attacks.base import Half, View
from goldcut.attacks.latent import ROUNDS, LatentSearch, Tell
from goldcut.attacks.objective import Objective, evaluate
from goldcut.errors import AttackError
from goldcut.sources.body import import_extra


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
