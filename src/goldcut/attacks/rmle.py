"""The regularised likelihood: the smooth image whose Z is the given one; nothing is trained.

He, Zhang, Lee: Model Inversion Attacks Against Collaborative Inference, 2019, section 4. Their weight of the total
variation has to grow with depth, so it is swept here.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from goldcut.attacks.base import Attack, Inverse, View, Work
from goldcut.attacks.decoder import CAPS
from goldcut.attacks.problem import OWN, pose
from goldcut.attacks.search import PIECE, Penalty, Search, trials, tried_images
from goldcut.attacks.spectrum import measure_spectrum
from goldcut.attacks.tuning import SELECTION, Course, Meter, choose, follow, short
from goldcut.progress import Progress, silent
from goldcut.records import Knowledge

VICTIMS = 64
"""Victims that are searched for, each alone."""

WEAK = tuple(Penalty(smooth, near=0.01) for smooth in (0.0, 0.01, 0.1, 1.0, 10.0))
"""Weights that are tried: from no smoothness to ten times what the attacker's own images cost."""

STRONG = (Penalty(0.0, near=1.0),)
"""For cuts behind which little is left to see."""

NOISE = 0.5
"""Standard deviation of the starts beside the mean image, in those of the attacker's own images."""


@dataclass(frozen=True)
class RegularisedLikelihood(Attack):
    """Search from the mean image and from noise; of each victim the end that comes nearest to Z is kept.

    Attributes:
        steps: Of one search.
        starts: Searches for each victim.
    """

    steps: int = 300
    starts: int = 2

    @property
    def name(self) -> str:
        return "rmle"

    @property
    def needs(self) -> Knowledge:
        return "weights"

    @property
    def victims(self) -> int:
        return VICTIMS

    @property
    def work(self) -> Work:
        again = SELECTION * self.starts * self.steps
        return Work(tried_images(self.steps, len(WEAK), len(STRONG)) + again + VICTIMS * self.starts * self.steps)

    def at_effort(self, effort: str) -> "RegularisedLikelihood":
        return replace(self, steps=round(CAPS[effort] * self.steps))

    @torch.no_grad()
    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        problems = pose(view, seed=seed)
        own = view.training.targets(slice(0, OWN), view.device)
        mean = own.mean(0)
        spectrum = measure_spectrum(own - mean)
        generator = torch.Generator().manual_seed(seed)
        noise = [NOISE * torch.randn(mean.shape, generator=generator).to(mean) for _ in range(self.starts - 1)]
        few = slice(0, SELECTION)
        z, truth = view.selection.representations(few, view.device), view.selection.targets(few, view.device)

        def run(search: Search, steps: int) -> Course:
            return follow(replace(search, steps=steps).walk(z, mean.expand_as(truth)), truth, meter)

        groups = trials(problems, spectrum, self.steps, WEAK, STRONG)
        brief = sum(len(group) for group in groups) * short(self.steps)
        meter = Meter(self.name, brief + (len(groups) + self.starts) * self.steps, progress)
        search, course = choose(groups, run, steps=self.steps)

        def find(z: Tensor, begins: list[Tensor | None], meter: Meter) -> Tensor:
            return search.find(z, mean.expand(len(z), *mean.shape), begins, course.best, meter)

        # What Z says nothing about keeps the noise of a start, so other starts do not help everywhere.
        begins: list[Tensor | None] = [None, *noise]
        error = float((find(z, begins, meter) - truth).square().mean())
        if error >= course.least:
            begins, error = [None], course.least

        def invert(z: Tensor) -> Tensor:
            total = -(-len(z) // PIECE) * len(begins) * course.best
            return find(z, begins, Meter(f"{self.name}, images", total, progress))

        return Inverse(
            invert,
            selection_mse=error,
            converged=course.converged,
            steps=course.best,
            transform=search.problem.transform.name,
            settings=asdict(self)
            | asdict(search.penalty)
            | {"scale": search.scale, "kept": len(begins), "selection": len(truth)},
            device=view.device,
        )
