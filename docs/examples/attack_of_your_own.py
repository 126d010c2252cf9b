"""An attack of your own, scored beside the others: the average of the images whose Z is nearest."""

import tempfile
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import goldcut


@dataclass(frozen=True)
class Neighbours(goldcut.Attack):
    """The mean of the k nearest images of the attacker; k is chosen on its selection images, never on victims."""

    candidates: tuple[int, ...] = (1, 2, 5, 10)

    @property
    def name(self):
        return "neighbours"

    @property
    def needs(self):
        return "queries"  # Z of images of its own; "weights" would grant view.edge, with gradients

    def train(self, view, *, seed, progress=None, checkpoint=None):
        known, images = view.training.features.flatten(1), view.training.targets(slice(None))

        def invert(z, k):
            nearest = torch.cdist(z.flatten(1), known).topk(k, largest=False).indices
            return images[nearest].mean(1)

        truth, z = view.selection.targets(slice(None)), view.selection.features
        errors = {k: float((invert(z, k) - truth).square().mean()) for k in self.candidates}
        best = min(errors, key=errors.get)
        return goldcut.Inverse(
            lambda z: invert(z, best), selection_mse=errors[best], converged=True, settings={"k": best}
        )


model = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Linear(128, 3),
).eval()  # fmt: skip
generator = np.random.default_rng(0)
y = generator.integers(0, 3, 600)
rows, columns = np.mgrid[0:16, 0:16] / 16
waves = np.sin((y[:, None, None] + 1) * 4 * rows + generator.uniform(0, 6, (600, 1, 1))) + np.cos(5 * columns)
images = goldcut.from_arrays(((waves + 2) / 4 * 255).astype(np.uint8), y)

with tempfile.TemporaryDirectory() as folder:
    study = goldcut.examine(model, images, out=folder, attacks=[Neighbours()], victims=100)
    for result in study.attack.results:
        k = result.settings["k"]
        print(f"{result.cut:8} recovered {result.recovered:.2f} from the {k} nearest of {result.victims} victims")
