"""Several trainings of one attack from different seeds, and the mean of what they make.

Each training errs in ways of its own, and the mean of several has less of that error (Krogh, Vedelsby: Neural Network
Ensembles, Cross Validation, and Active Learning, 1995, equation 6). How far the seeds lie apart is in the settings.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from goldcut.attacks.base import Attack, Inverse, View, Work, selection_error
from goldcut.attacks.decoder import Decoder
from goldcut.attacks.substitute import beside, derive, renamed
from goldcut.progress import Progress, silent


@dataclass(frozen=True)
class Ensemble(Attack):
    """The same decoder from several seeds; the mean of their images, or the best of them where selection prefers it.

    Attributes:
        member: What is trained.
        count: How often.
    """

    member: Decoder = field(default_factory=Decoder)
    count: int = 3

    @property
    def name(self) -> str:
        return f"ensemble-{self.member.size}"

    @property
    def work(self) -> Work:
        return Work(trainings=(self.member,) * self.count)

    def at_effort(self, effort: str) -> "Ensemble":
        return replace(self, member=self.member.at_effort(effort))

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        made = [
            self.member.train(
                view,
                seed=derive(seed, 31, place),
                progress=renamed(progress, f"{self.name}, seed {place + 1} of {self.count}"),
                checkpoint=beside(checkpoint, f"seed{place}"),
            )
            for place in range(self.count)
        ]
        best = min(made, key=lambda one: one.selection_mse)
        together = mean_of(made)
        with torch.no_grad():
            error = selection_error(view, together)
        preferred = error < best.selection_mse
        return Inverse(
            together if preferred else best.invert,
            selection_mse=min(error, best.selection_mse),
            converged=all(one.converged for one in made),
            steps=sum(one.steps for one in made),
            transform=" ".join(dict.fromkeys(one.transform for one in made)),
            settings={**asdict(self), "seeds_selection_mse": [one.selection_mse for one in made]},
            note="" if preferred else "the best seed: the mean of all is no better on selection images",
            device=view.device,
        )


def mean_of(inverses: list[Inverse]) -> Callable[[Tensor], Tensor]:
    """The mean of the images that several inverses make, each clipped to [0, 1]."""

    def invert(z: Tensor) -> Tensor:
        return torch.stack([one.invert(z).clamp(0, 1) for one in inverses]).mean(0)

    return invert
