"""The learned inverse: a network trained on the attacker's own pairs of Z and image.

Dosovitskiy, Brox: Inverting Visual Representations with Convolutional Networks, 2016; as an attack on
split inference He, Zhang, Lee: Model Inversion Attacks Against Collaborative Inference, 2019.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from goldcut.attacks.base import Attack, Inverse, View, selection_error
from goldcut.attacks.mirror import choose_training
from goldcut.attacks.transforms import choose_transform
from goldcut.fitting.loop import Settings, fit
from goldcut.networks.decoders import SIZES, build_decoder
from goldcut.progress import Progress, silent

CAPS: dict[str, float] = {"small": 0.5, "standard": 1.0, "large": 4.0}
"""Share of the steps that a training may take at most; what counts as flat is the same for all."""

COLLAPSED = 1.02
"""A decoder that errs more than this many times the mean image has gone wrong and is trained anew."""


@dataclass(frozen=True)
class Decoder(Attack):
    """A decoder from the cut's shape, trained with the mean squared error until flat.

    Attributes:
        size: A key of networks.SIZES.
        settings: How it is trained.
    """

    size: str = "S"
    settings: Settings = field(default_factory=Settings)

    @property
    def name(self) -> str:
        return f"decoder-{self.size}"

    def at_effort(self, effort: str) -> "Decoder":
        return replace(self, settings=replace(self.settings, max_steps=round(CAPS[effort] * self.settings.max_steps)))

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        transform = choose_transform(view, seed=seed)
        decoder = build_decoder(view.z_shape, view.kind, view.image_shape, SIZES[self.size], seed=seed).to(view.device)

        mean = view.training.images.float().mean(0) / 255
        decoder.trunk.start_at(mean)
        zero = float((view.selection.targets(slice(None)) - mean).square().mean(dtype=torch.float64))

        def invert(z: Tensor) -> Tensor:
            image: Tensor = decoder(transform(z))
            return image

        sample = choose_training(view, transform, seed=seed)

        def loss(index: Tensor, noise: torch.Generator) -> Tensor:
            made = invert(sample.representations(index, view.device))
            return functional.mse_loss(made, sample.targets(index, view.device))

        fitted = fit(
            decoder,
            loss,
            lambda: selection_error(view, invert),
            samples=len(sample),
            settings=self.settings,
            seed=seed,
            ceiling=COLLAPSED * zero,
            task=self.name,
            progress=progress,
            checkpoint=checkpoint,
        )
        return Inverse(
            invert,
            selection_mse=fitted.score,
            converged=fitted.converged,
            steps=fitted.steps,
            transform=transform.name,
            settings={**asdict(self), "network": asdict(SIZES[self.size]), "mirrored": sample is view.mirrored},
            note=f"started anew {fitted.restarts} times at a lower rate" if fitted.restarts else "",
            device=view.device,
        )
