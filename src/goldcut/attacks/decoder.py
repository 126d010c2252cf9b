"""The learned inverse: a network trained on the attacker's own pairs of Z and image.

Dosovitskiy, Brox: Inverting Visual Representations with Convolutional Networks, 2016; as an attack on
split inference He, Zhang, Lee: Model Inversion Attacks Against Collaborative Inference, 2019.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from goldcut.attacks.base import Attack, Inverse, View, selection_error
from goldcut.attacks.mirror import choose_training
from goldcut.attacks.transforms import Transform, choose_transform
from goldcut.fitting import Settings, fit
from goldcut.networks.decoders import SIZES, build_decoder
from goldcut.progress import Progress, silent

CAPS: dict[str, float] = {"small": 0.75, "standard": 1.0, "large": 4.0}
"""Share of the steps that a training may take at most; what counts as flat is the same for all."""

DECODING = Settings(batch=32, rate=3e-3, muon=True, averaged=True)
"""How a decoder is trained. With AdamW for all weights it takes twice the steps to err as little; with batches of 64, a
rate of 0.001 and the last weights instead of averaged ones twice the images again (docs/benchmarks.md)."""

MOST_STEPS = {"S": 4_000, "M": 2_000, "L": 5_000}
"""Cap of the steps by size; how far S and M come at layer3.0 of a ResNet-20 stands in docs/benchmarks.md."""

SCORED = 1024
"""Selection images that tell whether a training is flat; at its end all of them count."""

COLLAPSED = 1.02
"""A decoder that errs more than this many times the mean image has gone wrong and is trained anew."""


def at_most(max_steps: int) -> Settings:
    """DECODING with another cap of the steps."""
    return replace(DECODING, max_steps=max_steps)


@dataclass(frozen=True)
class Decoder(Attack):
    """A decoder from the cut's shape, trained with the mean squared error until flat.

    Attributes:
        size: A key of networks.SIZES.
        settings: How it is trained.
    """

    size: str = "S"
    settings: Settings = DECODING

    @property
    def name(self) -> str:
        return f"decoder-{self.size}"

    def at_effort(self, effort: str) -> "Decoder":
        return replace(self, settings=replace(self.settings, max_steps=round(CAPS[effort] * self.settings.max_steps)))

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        transform = choose_transform(view, seed=seed)
        decoder = build_decoder(view.z_shape, view.kind, view.image_shape, SIZES[self.size], seed=seed).to(view.device)
        decoder.trunk.start_at(view.training.images.float().mean(0) / 255)
        return learn_inverse(
            view,
            decoder,
            lambda z, _: decoder(z),
            transform,
            self.settings,
            seed=seed,
            task=self.name,
            details={**asdict(self), "network": asdict(SIZES[self.size])},
            progress=progress,
            checkpoint=checkpoint,
        )


def usual_decoder(size: str) -> Decoder:
    """The decoder of a size as an audit trains it: until flat, or to its cap."""
    return Decoder(size, at_most(MOST_STEPS[size]))


def learn_inverse(
    view: View,
    network: nn.Module,
    paint: Callable[[Tensor, torch.Generator | None], Tensor],
    transform: Transform,
    settings: Settings,
    *,
    seed: int,
    task: str,
    details: Mapping[str, Any],
    progress: Progress,
    checkpoint: Path | None,
) -> Inverse:
    """Train any network with the mean squared error until flat, on mirrored images too where they help.

    Args:
        view: What the attacker is granted.
        network: On the view's device; trained in place.
        paint: The network as a function of transformed Z; drawing from the generator where it learns, and from nothing
            where it inverts.
        transform: From choose_transform.
        settings: How to train.
        seed: Of the order and the noise.
        task: Name of the attack.
        details: Hyper-parameters, for the record.
        progress: Told the steps.
        checkpoint: File to resume from and to write to.

    Raises:
        AttackError: The training diverges or collapses even at the lowest rate.
    """
    mean = view.training.images.float().mean(0) / 255
    zero = float((view.selection.targets(slice(SCORED)) - mean).square().mean(dtype=torch.float64))
    sample = choose_training(view, transform, seed=seed)

    def invert(z: Tensor) -> Tensor:
        return paint(transform(z), None)

    def loss(index: Tensor, noise: torch.Generator) -> Tensor:
        made = paint(transform(sample.representations(index, view.device)), noise)
        return functional.mse_loss(made, sample.targets(index, view.device))

    fitted = fit(
        network,
        loss,
        lambda: selection_error(view, invert, SCORED),
        samples=len(sample),
        settings=settings,
        seed=seed,
        ceiling=COLLAPSED * zero,
        task=task,
        progress=progress,
        checkpoint=checkpoint,
    )
    with torch.no_grad():
        error = selection_error(view, invert)
    return Inverse(
        invert,
        selection_mse=error,
        converged=fitted.converged,
        steps=fitted.steps,
        transform=transform.name,
        settings={**details, "mirrored": sample is view.mirrored},
        note=f"started anew {fitted.restarts} times at a lower rate" if fitted.restarts else "",
        device=view.device,
    )
