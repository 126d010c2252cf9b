"""A cloud half that has learned to read what a promise sends.

Nothing before the noise changes, so the promise stays as it is: it holds against whoever reads Z, the cloud included.
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from goldcut.cuts.graph import find_cuts
from goldcut.cuts.split import split_at
from goldcut.errors import ModelError
from goldcut.fitting import Settings, fit
from goldcut.progress import Progress, silent
from goldcut.records import Cut, write_atomically
from goldcut.sources.models import Target
from goldcut.study.weights import state_of

SELECTED = 0.2
"""Share of the images that choose the best round."""

SETTINGS = Settings(max_steps=2000, batch=128, rate=3e-4, round_steps=50)
"""How the cloud half is trained on."""


@dataclass(frozen=True, eq=False)
class Adapted:
    """A copy of a model whose cloud half was trained on; as the model was where that improved nothing.

    Attributes:
        model: The copy; its edge half is that of the model.
        cloud: Its cloud half, Z (b, *z_shape) -> logits.
        images: Images that it was trained on, those that chose the round included.
    """

    model: nn.Module
    cloud: nn.Module
    images: int

    def save(self, path: Path) -> None:
        """Write the weights of both halves, as a checkpoint of the model."""
        write_atomically(path, safetensors.torch.save(state_of(self.model)))


def adapt_cloud(
    target: Target,
    cut: Cut,
    z: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    sigma: float,
    *,
    device: str = "cpu",
    seed: int = 0,
    settings: Settings = SETTINGS,
    progress: Progress = silent,
) -> Adapted:
    """Train the cloud half of a copy on noisy Z, with noise of its own in each step.

    Args:
        target: The model; it stays as it is.
        cut: Where Z is sent; not the output, which has no cloud half.
        z: Clipped Z of training images, flattened.
        labels: Their classes.
        sigma: Of the noise per element.
        device: Where to compute.
        seed: Of the order, the noise and the selection.
        settings: How to train.
        progress: Told the steps.

    Raises:
        ModelError: The halves share weights, so that the edge half would change too.
    """
    model = deepcopy(target.model)
    split = split_at(find_cuts(model.to(device), target.input_shape), cut.name)
    edge, cloud = {id(weight) for weight in split.edge.parameters()}, split.cloud.requires_grad_(True)
    if any(id(weight) in edge for weight in cloud.parameters()):
        raise ModelError(f"the halves at {cut.name} share weights, so the cloud half cannot change alone", "Leave it.")
    order = np.random.default_rng(seed).permutation(len(z))
    bound = max(1, round(SELECTED * len(z)))
    chosen, learned = torch.from_numpy(order[:bound]), torch.from_numpy(order[bound:])

    def loss(index: Tensor, noise: torch.Generator) -> Tensor:
        sent = z[index] + sigma * torch.randn(len(index), z.shape[1], generator=noise)
        answers = cloud(sent.view(-1, *cut.shape).to(device)).flatten(1)
        return functional.cross_entropy(answers, labels[index].to(device))

    def score() -> float:
        noise = torch.Generator().manual_seed(seed)
        parts = torch.split(chosen, settings.batch)
        return sum(len(part) * float(loss(part, noise)) for part in parts) / len(chosen)

    before = {name: tensor.detach().clone() for name, tensor in cloud.state_dict().items()}
    with torch.no_grad():
        at_first = score()
    fitted = fit(
        cloud,
        lambda index, noise: loss(learned[index], noise),
        score,
        samples=len(learned),
        settings=settings,
        seed=seed,
        task="adapting the cloud half",
        progress=progress,
    )
    if fitted.score >= at_first:
        cloud.load_state_dict(before)
    return Adapted(model, cloud, len(z))
