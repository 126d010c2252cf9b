"""What images look like, learned from the attacker's own: a generator, trained once and used at every cut."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from goldcut.attacks.base import BATCH, Sample, View
from goldcut.attacks.decoder import COLLAPSED
from goldcut.fitting import Settings, fit
from goldcut.networks.decoders import SIZES
from goldcut.networks.generator import ImageVAE, build_generator
from goldcut.progress import Progress, silent

SEED = 0
"""Of every generator: it is the same at all cuts, so no seed of a cut may decide what it is."""


@dataclass(frozen=True)
class Prior:
    """How the generator is made.

    Attributes:
        latent: Length of a latent vector.
        size: A key of networks.SIZES.
        settings: How it is trained.
    """

    latent: int = 64
    size: str = "S"
    settings: Settings = field(default_factory=lambda: Settings(max_steps=5000))

    def take(self, view: View, progress: Progress = silent) -> ImageVAE:
        """The generator of the attacker's images, from the shelf; its weights are frozen.

        It is trained on the training images alone, and the state that comes nearest to the selection images is kept.

        Raises:
            AttackError: The training diverges.
        """
        return view.shelf.take((self, view.device), lambda folder: self._train(view, folder, progress))

    def _train(self, view: View, folder: Path | None, progress: Progress) -> ImageVAE:
        generator = build_generator(view.image_shape, self.latent, SIZES[self.size], seed=SEED).to(view.device)
        mean = view.training.images.float().mean(0) / 255
        generator.decoder.trunk.start_at(mean)
        zero = float((view.selection.targets(slice(None)) - mean).square().mean(dtype=torch.float64))
        fit(
            generator,
            lambda index, noise: generator.loss(view.training.targets(index, view.device), noise),
            lambda: rebuilding_error(generator, view.selection, view.device),
            samples=len(view.training),
            settings=self.settings,
            seed=SEED,
            ceiling=COLLAPSED * zero,
            task="generator",
            progress=progress,
            checkpoint=folder / f"generator-{self._key(view)[:8]}.safetensors" if folder else None,
        )
        return generator.requires_grad_(False)

    def _key(self, view: View) -> str:
        digest = hashlib.sha256(repr(self).encode())
        for sample in (view.training, view.selection):
            digest.update(repr(sample.images.shape).encode() + sample.images.numpy().tobytes())
        return digest.hexdigest()


def rebuilding_error(generator: ImageVAE, sample: Sample, device: str) -> float:
    """Mean squared error of images that go through the latent space and back."""
    total = 0.0
    for start in range(0, len(sample), BATCH):
        images = sample.targets(slice(start, start + BATCH), device)
        made: Tensor = generator(generator.encode(images)[0])
        total += float((made - images).square().sum(dtype=torch.float64))
    return total / sample.images.numel()
