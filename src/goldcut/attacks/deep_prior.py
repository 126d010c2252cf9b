"""The deep image prior: a network for each victim that paints from noise until Z is the given one.

Ulyanov, Vedaldi, Lempitsky: Deep Image Prior, 2018; against split inference "LM" in Li et al.: GAN You See Me? Enhanced
Data Reconstruction Attacks against Split Inference, 2023.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from goldcut.attacks.base import Attack, Inverse, View
from goldcut.attacks.decoder import CAPS
from goldcut.attacks.problem import Problem, pose
from goldcut.attacks.search import LOOKS
from goldcut.attacks.tuning import Meter, choose, follow, short
from goldcut.networks.hourglass import build_hourglasses
from goldcut.progress import Progress, silent
from goldcut.records import Knowledge

VICTIMS = 16
"""Victims that get a network of their own: a quarter of those of the other searches, as a step costs more."""

RATE = 1e-2
"""Rate of Adam (Ulyanov et al.)."""

JITTER = 1 / 30
"""Standard deviation of the noise that is added to the input in each step (Ulyanov et al., published code)."""

INPUT = 0.1
"""The input is uniform between zero and this (Ulyanov et al.)."""

KEPT = 0.95
"""The image is a running mean with this weight on what was before (Ulyanov et al. average likewise)."""


@dataclass(frozen=True)
class DeepPrior(Attack):
    """Networks in a batch, stopped where it was best on the selection images: stopping is their only penalty.

    Attributes:
        steps: At most.
        width: Channels inside a network.
        levels: How often a network halves the size.
    """

    steps: int = 800
    width: int = 32
    levels: int = 3

    @property
    def name(self) -> str:
        return "prior"

    @property
    def needs(self) -> Knowledge:
        return "weights"

    @property
    def victims(self) -> int:
        return VICTIMS

    def at_effort(self, effort: str) -> "DeepPrior":
        return replace(self, steps=round(CAPS[effort] * self.steps))

    @torch.no_grad()
    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        problems = pose(view, seed=seed)
        few = slice(0, VICTIMS)
        z, truth = view.selection.representations(few, view.device), view.selection.targets(few, view.device)
        meter = Meter(self.name, (len(problems) * short(self.steps) if problems[1:] else 0) + self.steps, progress)
        problem, course = choose(
            [problems],
            lambda problem, steps: follow(self._walk(problem, z, view, steps, seed), truth, meter),
            steps=self.steps,
        )

        def invert(z: Tensor) -> Tensor:
            made = []
            meter = Meter(f"{self.name}, images", -(-len(z) // VICTIMS) * course.best, progress)
            for part in torch.split(z, VICTIMS):
                last = 0, torch.empty(0)
                for found in self._walk(problem, part, view, course.best, seed):
                    meter.add(found[0] - last[0])
                    last = found
                made.append(last[1])
            return torch.cat(made)

        return Inverse(
            invert,
            selection_mse=course.least,
            converged=course.converged,
            steps=course.best,
            transform=problem.transform.name,
            settings=asdict(self) | {"selection": len(truth)},
            device=view.device,
        )

    def _walk(self, problem: Problem, z: Tensor, view: View, steps: int, seed: int) -> Iterator[tuple[int, Tensor]]:
        """The step and the images there: the start, then LOOKS times, and the end."""
        networks = build_hourglasses(len(z), view.image_shape, self.width, self.levels, seed=seed).to(view.device)
        adam = torch.optim.Adam(networks.parameters(), lr=RATE)
        generator = torch.Generator().manual_seed(seed)
        entry = INPUT * torch.rand(1, self.width, *view.image_shape[1:], generator=generator)
        mean = torch.zeros(len(z), *view.image_shape, device=view.device)
        for step in range(steps):
            jittered = entry + JITTER * torch.randn(entry.shape, generator=generator)
            with torch.enable_grad():
                image = networks(jittered.to(view.device))
                loss = problem.distance(image, z).sum() * image[0].numel()
                grads = torch.autograd.grad(loss, list(networks.parameters()))
            for weight, grad in zip(networks.parameters(), grads, strict=True):
                weight.grad = grad.nan_to_num(0, 0, 0)
            adam.step()
            mean = KEPT * mean + (1 - KEPT) * image.detach()
            if (step + 1) % max(1, self.steps // LOOKS) == 0 or step + 1 == steps:
                yield step + 1, mean / (1 - KEPT ** (step + 1))
