"""Rules that give every image of a batch its label distribution; `goldcut.training.labels` has the formulas."""

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
from goldcut.training.labels import FULL, MIXTURES, one_hot, smoothed, warmed

LEAST = -0.5
"""The most negative smoothing."""


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
