"""A decoder's image, improved until its Z is the given one: the cheapest strong attack with the weights of the edge.

The start by an inverse network is that of GLASS++ (Li et al.: GAN You See Me? Enhanced Data Reconstruction Attacks
against Split Inference, 2023); the search is that of He, Zhang, Lee: Model Inversion Attacks Against Collaborative
Inference, 2019.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from goldcut.attacks.base import Attack, Inverse, View, Work
from goldcut.attacks.decoder import CAPS, Decoder, usual_decoder
from goldcut.attacks.problem import OWN, NoGradient, Problem, pose
from goldcut.attacks.search import PIECE, Penalty, Search, trials, tried_images
from goldcut.attacks.spectrum import measure_spectrum
from goldcut.attacks.tuning import SELECTION, Course, Meter, choose, follow, short
from goldcut.progress import Progress, silent
from goldcut.records import Knowledge

VICTIMS = 64
"""Victims that are refined, each alone."""

WEAK = tuple(Penalty(smooth, near) for smooth, near in ((0.0, 0.001), (0.0, 0.01), (0.01, 0.01), (0.1, 0.01)))
STRONG = tuple(Penalty(near=near) for near in (0.1, 1.0))
"""Weights that are tried. The distance is in what the start usually errs by: at 1, an image that is as far from the
start as the truth usually is costs as much as Z one standard deviation off."""


@dataclass(frozen=True)
class Refine(Attack):
    """Search around the image of the best finished attack, as far as it helps on the selection images.

    Attributes:
        steps: Of the search at most.
        decoder: What it starts from where nothing is finished.
    """

    steps: int = 200
    decoder: Decoder = field(default_factory=lambda: usual_decoder("S"))

    @property
    def name(self) -> str:
        return "refine"

    @property
    def needs(self) -> Knowledge:
        return "weights"

    @property
    def victims(self) -> int:
        return VICTIMS

    @property
    def follows(self) -> bool:
        return True

    @property
    def work(self) -> Work:
        """With something to start from."""
        return Work(tried_images(self.steps, len(WEAK), len(STRONG)) + VICTIMS * self.steps)

    def at_effort(self, effort: str) -> "Refine":
        return replace(self, steps=round(CAPS[effort] * self.steps), decoder=self.decoder.at_effort(effort))

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        start = min(view.starts, key=lambda one: one.selection_mse, default=None) or self.decoder.train(
            view, seed=seed, progress=progress, checkpoint=checkpoint
        )
        try:
            problems = pose(view, seed=seed)
        except NoGradient as error:
            return replace(start, note=f"{error.problem}: this is what it would have started from")
        return self._refine(view, start, problems, progress)

    @torch.no_grad()
    def _refine(self, view: View, start: Inverse, problems: tuple[Problem, ...], progress: Progress) -> Inverse:
        n = min(SELECTION, len(view.selection) // 2)
        few, rest = slice(0, n), slice(n, n + OWN)
        z, truth = view.selection.representations(few, view.device), view.selection.targets(few, view.device)
        anchor = start(z).to(view.device)
        missed = view.selection.targets(rest, view.device) - start(view.selection.representations(rest)).to(view.device)
        spectrum = measure_spectrum(missed)
        groups = trials(problems, spectrum, self.steps, WEAK, STRONG)
        brief = sum(len(group) for group in groups) * short(self.steps)
        meter = Meter(self.name, brief + len(groups) * self.steps, progress)

        def run(search: Search, steps: int) -> Course:
            return follow(replace(search, steps=steps).walk(z, anchor), truth, meter)

        search, course = choose(groups, run, steps=self.steps)

        def invert(z: Tensor) -> Tensor:
            meter = Meter(f"{self.name}, images", -(-len(z) // PIECE) * course.best, progress)
            return search.find(z, start(z).to(view.device), [None], course.best, meter)

        return Inverse(
            invert,
            selection_mse=course.least,
            converged=course.converged and (course.best > 0 or start.converged),
            steps=course.best,
            transform=search.problem.transform.name,
            settings=asdict(self)
            | asdict(search.penalty)
            | {"start": start.attack, "scale": search.scale, "selection": n, "start_mse": course.mse[0]},
            note="" if course.best else "nothing is gained over the decoder that it starts from",
            device=view.device,
        )
