"""Losses: from logits (and Z at chosen cuts) and a label distribution to one number.

Each is a frozen bag of hyper-parameters; the data comes in the call. p = softmax of the logits s, q the targets.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from goldcut.defenses.base import Defense
from goldcut.errors import TrainingError
from goldcut.records import Cut
from goldcut.training.targets import Targets

GUARD = math.log(1e-6)
"""Negative mass stops pushing a class down once its p is below this: -q ln p would fall without end."""


@dataclass(frozen=True)
class Answers:
    """What the model answered, and what it should have.

    Attributes:
        logits: One score a class.
        targets: Distribution over the classes.
        labels: The class of each image; None where images are blends.
        z: Z at the cuts that the loss acts on, by name, in the order of the network.
        sent: What a defence makes of them; empty without one.
        images: What the model was shown, in [0, 1].
    """

    logits: Float[Tensor, "b k"]
    targets: Float[Tensor, "b k"]
    labels: Int[Tensor, " b"] | None = None
    z: Mapping[str, Tensor] = field(default_factory=dict)
    sent: Mapping[str, Tensor] = field(default_factory=dict)
    images: Float[Tensor, "b c h w"] | None = None


def cross_entropy(logits: Float[Tensor, "b k"], targets: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
    """-sum_k q_k ln p_k, mean over the batch; where q_k is negative, ln p_k is not followed below ln 1e-6.

    Example:
        >>> cross_entropy(torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        tensor(1.3863)
    """
    log_p = log_softmax(logits, 1)
    return -(targets * torch.where(targets < 0, log_p.clamp(min=GUARD), log_p)).sum(1).mean()


class Loss(ABC):
    """One number to be made small.

    Attributes:
        on_cuts: Whether it acts on Z at cuts.
    """

    on_cuts: ClassVar[bool] = False

    @property
    @abstractmethod
    def spec(self) -> str:
        """How it is written."""

    def refuses(self, targets: Targets) -> str | None:
        """Why it cannot take such targets; None where it can."""
        return None

    def joined(self, cuts: Sequence[Cut], image: tuple[int, int, int], defense: Defense | None, seed: int) -> "Loss":
        """The loss with what it needs of the place it acts on: most need nothing.

        Args:
            cuts: That it acts on, in the order of the network.
            image: (C, H, W) of the images.
            defense: What is done to Z there.
            seed: Of what is drawn.

        Raises:
            TrainingError: It cannot act there.
        """
        return self

    @property
    def companion(self) -> nn.Module | None:
        """A network that is trained beside the model, for the loss alone."""
        return None

    @abstractmethod
    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch, finite for finite answers."""


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """-sum_k q_k ln p_k."""

    @property
    def spec(self) -> str:
        """ce."""
        return "ce"

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        return cross_entropy(answers.logits, answers.targets)


@dataclass(frozen=True)
class Focal(Loss):
    """-sum_k q_k (1 - p_k)^gamma ln p_k: T.-Y. Lin et al., "Focal Loss for Dense Object Detection" (2017), eq. 4.

    Attributes:
        gamma: How much less a sure answer counts, at least 0; 0 is cross entropy.
    """

    gamma: float = 2.0

    def __post_init__(self) -> None:
        check_within("the exponent of focal", self.gamma, 0, 20)

    @property
    def spec(self) -> str:
        """focal:GAMMA."""
        return f"focal:{self.gamma:g}"

    def refuses(self, targets: Targets) -> str | None:
        """Negative mass: the factor (1 - p) would let go of what is to be pushed down, or hold on to it."""
        return "it is defined for distributions without negative mass" if targets.smoothing < 0 else None

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        log_p = log_softmax(answers.logits, 1)
        rest = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny)  # 1 - p, whose power must stay smooth
        return -(answers.targets * rest**self.gamma * log_p).sum(1).mean()


@dataclass(frozen=True)
class LogitNorm(Loss):
    """Cross entropy + weight |s|^2: the authors' logit-norm penalty (R. Liu et al., ICML 2026, published script).

    Attributes:
        weight: Of the penalty, at least 0.
    """

    weight: float = 1e-2

    def __post_init__(self) -> None:
        check_within("the weight of logit-norm", self.weight, 0, 100)

    @property
    def spec(self) -> str:
        """logit-norm:WEIGHT."""
        return f"logit-norm:{self.weight:g}"

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        penalty = answers.logits.square().sum(1).mean()
        return cross_entropy(answers.logits, answers.targets) + self.weight * penalty


@dataclass(frozen=True)
class Shrink(Loss):
    """Cross entropy with the wrong classes' mass shrunk: q_k becomes scale q_k for k != y.

    The authors' "shrink wrong gradient" (R. Liu et al., ICML 2026, published script: alpha 0.3, scale 0.01). The mass
    no longer sums to 1, so the gradient of logit k is p_k sum(q) - q_k. With one-hot targets it is cross entropy.

    Attributes:
        scale: What is left of the wrong classes' mass, in [0, 1].
    """

    scale: float = 0.01

    def __post_init__(self) -> None:
        check_within("the scale of shrink", self.scale, 0, 1)

    @property
    def spec(self) -> str:
        """shrink:SCALE."""
        return f"shrink:{self.scale:g}"

    def refuses(self, targets: Targets) -> str | None:
        """Blends have no wrong classes."""
        return needs_class(targets)

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        labels = labels_of(answers)[:, None]
        shrunk = (self.scale * answers.targets).scatter(1, labels, answers.targets.gather(1, labels))
        return cross_entropy(answers.logits, shrunk)


@dataclass(frozen=True)
class MaxSup(Loss):
    """Cross entropy + weight (max_k s_k - mean_k s_k).

    Y. Zhou et al., "MaxSup: Overcoming Representation Collapse in Label Smoothing" (NeurIPS 2025): label smoothing
    with PyTorch's epsilon is cross entropy + epsilon (s_y - mean_k s_k); here the largest logit stands for that of the
    class.

    Attributes:
        weight: Of the penalty, in [0, 1): the epsilon that it replaces.
    """

    weight: float = 0.1

    def __post_init__(self) -> None:
        check_within("the weight of maxsup", self.weight, 0, 1)

    @property
    def spec(self) -> str:
        """maxsup:WEIGHT."""
        return f"maxsup:{self.weight:g}"

    def refuses(self, targets: Targets) -> str | None:
        """Smoothing, whose place it takes."""
        return "it takes the place of smoothing" if targets.smoothing else None

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        penalty = (answers.logits.amax(1) - answers.logits.mean(1)).mean()
        return cross_entropy(answers.logits, answers.targets) + self.weight * penalty


def needs_class(targets: Targets) -> str | None:
    """Why a loss that needs the class of an image cannot take such targets."""
    return "it needs one class an image, and these are blends" if targets.blends else None


def labels_of(answers: Answers) -> Int[Tensor, " b"]:
    """The class of each image.

    Raises:
        TrainingError: The images are blends.
    """
    if answers.labels is None:
        raise TrainingError("this loss needs one class an image, and these are blends", "Change --targets or --loss.")
    return answers.labels


def check_within(what: str, value: float, least: float, most: float) -> None:
    """Refuse a hyper-parameter out of its range.

    Raises:
        TrainingError: It is.
    """
    if not least <= value <= most:
        raise TrainingError(f"{what} is {value:g} and must be in [{least:g}, {most:g}]", "Correct --loss.")
