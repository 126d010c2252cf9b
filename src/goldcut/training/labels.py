"""What a model is taught: label distributions, pure functions of labels and chance.

one-hot        q_y = 1
smooth:A       q_y = 1 - A, q_k = A / (K - 1): R. Liu et al., "Partitioning for Intrinsic Model Inversion
               Resistance in Collaborative Inference" (ICML 2026), after C. Szegedy et al., "Rethinking the
               Inception Architecture" (2016), whose epsilon (PyTorch's `label_smoothing`) is A K / (K - 1).
               Negative A: L. Struppek et al., "Be Careful What You Smooth For" (ICLR 2024).
teacher:CKPT   q = softmax of the same network with other weights: G. Hinton et al., "Distilling the Knowledge
               in a Neural Network" (2015), at temperature 1 and without the labels
mixup:A        H. Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018)
cutmix:A       S. Yun et al., "CutMix" (2019)
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from goldcut.errors import TrainingError
from goldcut.sources.factory import suggest

LEAST = -0.5
"""Smoothing below this has more negative than positive effect on every logit: refused."""

HELD, FULL = 0.25, 0.5
"""Negative smoothing is 0 for the first quarter of the steps, then grows linearly to its full size at half of them."""


@dataclass(frozen=True)
class Lesson:
    """A batch as it is taught.

    Attributes:
        images: In [0, 1].
        targets: A distribution over the classes for each image: sums to 1, perhaps with negative mass.
        labels: The class of each image; None where images are blends of two.
    """

    images: Float[Tensor, "b c h w"]
    targets: Float[Tensor, "b k"]
    labels: Int[Tensor, " b"] | None


def one_hot(labels: Int[Tensor, " b"], classes: int) -> Float[Tensor, "b k"]:
    """All mass on the class."""
    return smoothed(labels, classes, 0.0)


def smoothed(labels: Int[Tensor, " b"], classes: int, alpha: float) -> Float[Tensor, "b k"]:
    """1 - alpha on the class, alpha / (K - 1) on each other one; alpha may be negative.

    Example:
        >>> smoothed(torch.tensor([1]), 3, 0.5)
        tensor([[0.2500, 0.5000, 0.2500]])
    """
    targets = torch.full((len(labels), classes), alpha / (classes - 1), device=labels.device)
    return targets.scatter_(1, labels[:, None], 1 - alpha)


def warmed(alpha: float, share: float) -> float:
    """The smoothing in force when a share of the steps is taken: a negative one is held back, then grows.

    Example:
        >>> warmed(-0.04, 0.2), warmed(-0.04, 0.375), warmed(-0.04, 0.9), warmed(0.3, 0.0)
        (0.0, -0.02, -0.04, 0.3)
    """
    return alpha if alpha >= 0 else alpha * min(1.0, max(0.0, (share - HELD) / (FULL - HELD)))


def blend(
    images: Float[Tensor, "b c h w"], targets: Float[Tensor, "b k"], order: Int[Tensor, " b"], keep: float
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b k"]]:
    """`keep` of each image and its target, the rest from the one that `order` names."""
    return keep * images + (1 - keep) * images[order], keep * targets + (1 - keep) * targets[order]


def patch(
    images: Float[Tensor, "b c h w"],
    targets: Float[Tensor, "b k"],
    order: Int[Tensor, " b"],
    box: tuple[int, int, int, int],
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b k"]]:
    """Rows top to bottom and columns left to right come from another image, and so much of its target."""
    top, bottom, left, right = box
    patched = images.clone()
    patched[:, :, top:bottom, left:right] = images[order, :, top:bottom, left:right]
    share = (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
    return patched, (1 - share) * targets + share * targets[order]


def draw_box(height: int, width: int, keep: float, noise: np.random.Generator) -> tuple[int, int, int, int]:
    """A box of (1 - keep) of the area around a uniform centre, clipped at the border: top, bottom, left, right."""
    side = (1 - keep) ** 0.5
    edges = []
    for length in (height, width):
        centre, half = int(noise.integers(length)), int(length * side) // 2
        edges += [max(0, centre - half), min(length, centre + half)]
    return edges[0], edges[1], edges[2], edges[3]


@dataclass(frozen=True)
class Targets(ABC):
    """A rule that gives every image a distribution over the classes.

    Attributes:
        blends: Whether images are blends, so that none has a class of its own.
        settled: Share of the steps from which the rule is in full force; no earlier epoch is selected.
    """

    blends: ClassVar[bool] = False

    @property
    def settled(self) -> float:
        """Share of the steps from which the rule is in full force."""
        return 0.0

    @property
    def smoothing(self) -> float:
        """Mass that the rule itself takes from the class: alpha of smoothing, 0 of all others."""
        return 0.0

    @property
    @abstractmethod
    def spec(self) -> str:
        """How it is written."""

    def check(self, classes: int) -> None:  # noqa: B027 - most rules take any number of classes
        """Refuse a number of classes that the rule cannot serve.

        Raises:
            TrainingError: It cannot.
        """

    def taught(self, load: Callable[[Path], nn.Module]) -> "Targets":
        """The rule with what it needs from files; `load` gives the model with the weights of a file, in eval mode."""
        return self

    @abstractmethod
    def lesson(
        self,
        images: Float[Tensor, "b c h w"],
        labels: Int[Tensor, " b"],
        classes: int,
        share: float,
        noise: torch.Generator,
    ) -> Lesson:
        """What is taught.

        Args:
            images: In [0, 1].
            labels: Their classes.
            classes: Number of classes.
            share: Share of the steps that are taken.
            noise: Where chance comes from, on the CPU.
        """


@dataclass(frozen=True)
class Smooth(Targets):
    """Smoothing, of which one-hot is the special case 0.

    Attributes:
        alpha: Mass that is taken from the class, in [-0.5, (K - 1) / K).
    """

    alpha: float = 0.0

    def __post_init__(self) -> None:
        if not LEAST <= self.alpha < 1:
            raise TrainingError(
                f"smoothing alpha is {self.alpha:g} and must be in [{LEAST}, 1)", "The paper has 0.3 and -0.05."
            )

    @property
    def spec(self) -> str:
        """smooth:A, or one-hot."""
        return f"smooth:{self.alpha:g}" if self.alpha else "one-hot"

    @property
    def smoothing(self) -> float:
        """alpha."""
        return self.alpha

    @property
    def settled(self) -> float:
        """When the warm-up of a negative alpha is over."""
        return FULL if self.alpha < 0 else 0.0

    def check(self, classes: int) -> None:
        """Refuse to give the class less mass than the others have."""
        most = (classes - 1) / classes
        if self.alpha >= most:
            raise TrainingError(
                f"smoothing alpha is {self.alpha:g} and leaves the class less than each of the other {classes - 1}",
                f"With {classes} classes alpha must be below {most:.3g}.",
            )

    def lesson(
        self,
        images: Float[Tensor, "b c h w"],
        labels: Int[Tensor, " b"],
        classes: int,
        share: float,
        noise: torch.Generator,
    ) -> Lesson:
        """The images as they are."""
        return Lesson(images, smoothed(labels, classes, warmed(self.alpha, share)), labels)


@dataclass(frozen=True)
class Teacher(Targets):
    """The output distribution of a teacher of the same architecture.

    Attributes:
        checkpoint: Its weights.
        model: The teacher itself, once loaded.
    """

    checkpoint: Path
    model: nn.Module | None = field(default=None, repr=False, compare=False)

    @property
    def spec(self) -> str:
        """teacher:CKPT."""
        return f"teacher:{self.checkpoint}"

    def taught(self, load: Callable[[Path], nn.Module]) -> "Teacher":
        """With its weights loaded."""
        return replace(self, model=load(self.checkpoint))

    def lesson(
        self,
        images: Float[Tensor, "b c h w"],
        labels: Int[Tensor, " b"],
        classes: int,
        share: float,
        noise: torch.Generator,
    ) -> Lesson:
        """The images as they are, with what the teacher says of them."""
        if self.model is None:
            raise TrainingError(f"the teacher {self.checkpoint} is not loaded", "Call `taught` first.")
        with torch.no_grad():
            return Lesson(images, self.model(images).float().softmax(1), labels)


def mixup(
    images: Tensor, targets: Tensor, order: Tensor, keep: float, drawn: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Weighted sums of two images."""
    return blend(images, targets, order, keep)


def cutmix(
    images: Tensor, targets: Tensor, order: Tensor, keep: float, drawn: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A box of each image comes from another one."""
    return patch(images, targets, order, draw_box(images.shape[2], images.shape[3], keep, drawn))


MIXTURES = {"mixup": mixup, "cutmix": cutmix}
"""How two images become one."""


@dataclass(frozen=True)
class Mixed(Targets):
    """Each image is mixed with another one of the batch.

    Attributes:
        how: One of MIXTURES.
        strength: Parameter of the Beta distribution that the share of the image is drawn from, one draw a batch.
    """

    how: str = "mixup"
    strength: float = 1.0
    blends: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 100:
            raise TrainingError(
                f"the strength of {self.how} is {self.strength:g} and must be in (0, 100]", "Usual are 0.2 to 1."
            )

    @property
    def spec(self) -> str:
        """mixup:A or cutmix:A."""
        return f"{self.how}:{self.strength:g}"

    def lesson(
        self,
        images: Float[Tensor, "b c h w"],
        labels: Int[Tensor, " b"],
        classes: int,
        share: float,
        noise: torch.Generator,
    ) -> Lesson:
        """Images and targets mixed alike."""
        order = torch.randperm(len(images), generator=noise).to(images.device)
        drawn = np.random.default_rng(int(torch.randint(2**62, (), generator=noise)))
        keep = float(drawn.beta(self.strength, self.strength))
        return Lesson(*MIXTURES[self.how](images, one_hot(labels, classes), order, keep, drawn), labels=None)


TARGETS: dict[str, Callable[[str], Targets]] = {
    "one-hot": lambda text: Smooth(),
    "smooth": lambda text: Smooth(float(text)),
    "teacher": lambda text: Teacher(Path(text)),
    "mixup": lambda text: Mixed("mixup", float(text or 1)),
    "cutmix": lambda text: Mixed("cutmix", float(text or 1)),
}
"""By the name before the colon; called with what stands behind it."""

_FORMS = "Write one-hot, smooth:0.3, teacher:CKPT, mixup:1 or cutmix:1."


def parse_targets(spec: str) -> Targets:
    """The label distribution of a spec.

    Raises:
        TrainingError: No such one, or a number that is none or out of range.

    Example:
        >>> parse_targets("smooth:0.3").spec
        'smooth:0.3'
    """
    name, _, text = spec.partition(":")
    if name not in TARGETS:
        raise TrainingError(f"there are no targets {name!r}", suggest(name, TARGETS))
    if (name in ("smooth", "teacher") and not text) or (name == "one-hot" and text):
        raise TrainingError(f"{spec!r} are no targets", _FORMS)
    try:
        return TARGETS[name](text)
    except ValueError as error:
        raise TrainingError(f"{spec!r} are no targets: {text!r} is no number", _FORMS) from error
