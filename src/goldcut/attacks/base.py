"""What an attacker is granted, what an attack is, and what it leaves behind.

The threat model is a value: an attack receives a View and nothing else, so it cannot look at a victim.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from goldcut.attacks.masks import Mask
from goldcut.attacks.shelf import Shelf
from goldcut.progress import Progress, silent
from goldcut.records import Kind, Knowledge

Half = Callable[[Tensor], Tensor]
"""A half of the model as a function: the edge from images in [0, 1] at the attack's size (b, C, H, W) to Z as the
attack sees it (b, *z_shape); the cloud from that Z to the logits."""

BATCH = 256
"""Samples that are held on the device at a time where nothing is trained."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Images of the attacker's own and what they become at the cut.

    Attributes:
        images: (n, C, H, W) uint8, at the size at which the attack works.
        features: (n, ...) float32, Z of each image; on the CPU, maybe on disk.
        labels: Label that the model predicts for each image; None without logits.
        classes: Label that the attacker knows for each image; None where it has images alone.
        attributes: What else it knows of each image, by name.
    """

    images: UInt8[Tensor, "n c h w"]
    features: Float[Tensor, "n ..."]
    labels: Int[np.ndarray, " n"] | None = None
    classes: Int[np.ndarray, " n"] | None = None
    attributes: Mapping[str, Int[np.ndarray, " n"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def targets(self, index: Tensor | slice, device: torch.device | str = "cpu") -> Float[Tensor, "b c h w"]:
        """Images in [0, 1]."""
        return self.images[index].to(device, torch.float32) / 255

    def representations(self, index: Tensor | slice, device: torch.device | str = "cpu") -> Float[Tensor, "b ..."]:
        """Z of images."""
        return self.features[index].to(device)

    def unpaired(self) -> "Sample":
        """The same images of an attacker who could not ask for their Z: its shape is known, reading it is an error."""
        return replace(self, features=self.features.to("meta"), labels=None)


@dataclass(frozen=True, eq=False)
class View:
    """Everything that an attacker is granted: images of its own, their Z, and the edge half for more of it.

    Attributes:
        training: To learn from.
        selection: To choose by; disjoint from training.
        mirrored: The training sample followed by the same images mirrored left to right, each with its own Z;
            None where Z is so large that more images add nothing.
        kind: What the axes of Z mean to the attacker: "map" (C, H, W), "tokens" (T, D) or "vector" (D,).
        query: The edge half, asked without gradients; None when it cannot be asked.
        edge: The edge half with its weights: gradients flow through it to the image.
        blank: The edge half's structure with untrained weights drawn from a seed, as a module to train.
        cloud: The cloud half with its weights, through which gradients flow; whoever runs it has it. At the output
            it is the identity.
        observed: Z of the victims as it was seen on the wire; nothing says what the images were.
        starts: Finished attacks of the same attacker at the same cut, to start from.
        shelf: Work that depends on the attacker's images alone, done once for all cuts.
        device: Where to compute.
        mask: What lies over Z where the edge draws a mask; `edge` then comes without it.
    """

    training: Sample
    selection: Sample
    kind: Kind
    mirrored: Sample | None = None
    query: Half | None = None
    edge: Half | None = None
    blank: Callable[[int], nn.Module] | None = None
    cloud: Half | None = None
    observed: Float[Tensor, "m ..."] | None = None
    starts: tuple["Inverse", ...] = ()
    shelf: Shelf = field(default_factory=Shelf)
    device: str = "cpu"
    mask: Mask | None = None

    def granted(self, knowledge: Knowledge) -> "View":
        """What of this view an attacker has who knows only so much.

        "weights": everything. "queries": no gradients and no structure of the edge. "architecture": the structure of
        the edge, but neither its weights nor an answer of it. "none": not even the structure.
        """
        view = self
        if knowledge != "weights":
            view = replace(view, edge=None)
        if knowledge in ("none", "architecture"):
            training, selection = view.training.unpaired(), view.selection.unpaired()
            view = replace(view, training=training, selection=selection, mirrored=None, query=None, starts=())
        if knowledge in ("none", "queries"):
            view = replace(view, blank=None)
        return view

    @property
    def z_shape(self) -> tuple[int, ...]:
        """Shape of Z per sample."""
        return tuple(self.training.features.shape[1:])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images that the attack makes."""
        _, channels, height, width = self.training.images.shape
        return channels, height, width


@dataclass(frozen=True, eq=False)
class Inverse:
    """A finished attack: a function from Z to images, and how it came to be.

    Attributes:
        invert: Z on the device of the view to images; values outside [0, 1] are clipped. It is called without
            gradients; an attack that follows them turns them on.
        selection_mse: Mean squared error on the attacker's selection images.
        converged: Whether the last quarter of the training improved selection_mse by less than 1 %.
        steps: Optimisation steps; 0 for closed forms.
        transform: Point-wise transform of Z that was chosen.
        settings: Hyper-parameters, plain values.
        note: What a reader must know.
        device: Where `invert` computes.
        attack: Name of the attack; given by who carries it out.
    """

    invert: Callable[[Tensor], Tensor]
    selection_mse: float
    converged: bool
    steps: int = 0
    transform: str = "none"
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    device: str = "cpu"
    attack: str = ""

    def __call__(self, z: Float[Tensor, "n ..."]) -> Float[Tensor, "n c h w"]:
        """Images in [0, 1] on the CPU, computed in batches without gradients."""
        with torch.no_grad():
            parts = [self.invert(part.to(self.device)).clamp(0, 1).float().cpu() for part in torch.split(z, BATCH)]
        return torch.cat(parts)


@dataclass(frozen=True)
class Work:
    """What an attack does at most, so that its time can be told before.

    Attributes:
        edge_images: Images that go through the edge half and whose gradients come back.
        model_images: Images that go through both halves and whose gradients come back.
        trainings: Attacks that are trained as parts of it.
    """

    edge_images: int = 0
    model_images: int = 0
    trainings: tuple["Attack", ...] = ()


class Attack(ABC):
    """A frozen bag of hyper-parameters; the data comes in the call."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in results, such as "decoder-S"."""

    @property
    def needs(self) -> Knowledge:
        """What the attacker must know at least; the view that `train` is given grants this and no more."""
        return "queries"

    @property
    def victims(self) -> int | None:
        """Victims that it is scored on, always the first ones; None for all of them."""
        return None

    @property
    def follows(self) -> bool:
        """Whether it starts from other attacks of the same plan (`View.starts`), so that it waits for them."""
        return False

    @property
    def work(self) -> Work | None:
        """What it does at most; None where nobody has counted."""
        return None

    @abstractmethod
    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        """Learn to invert Z from what the view grants, which is what the attack needs.

        Args:
            view: All that there is to learn from.
            seed: The same seed and view give the same inverse.
            progress: Told how far it is; an exception that it raises ends the attack.
            checkpoint: File to resume from and to write to.

        Raises:
            AttackError: The attack cannot be carried out here.
        """

    def at_effort(self, effort: str) -> "Attack":
        """The same attack with the caps of an effort ("small", "standard", "large"), where it has caps."""
        return self


def selection_error(view: View, invert: Callable[[Tensor], Tensor], most: int | None = None) -> float:
    """Mean squared error of an inverse on the selection images, or the first `most`, after clipping to [0, 1]."""
    count, total = min(most or len(view.selection), len(view.selection)), 0.0
    for start in range(0, count, BATCH):
        part = slice(start, min(start + BATCH, count))
        made = invert(view.selection.representations(part, view.device)).clamp(0, 1)
        total += float((made - view.selection.targets(part, view.device)).square().sum(dtype=torch.float64))
    return total / (count * view.selection.images[0].numel())
