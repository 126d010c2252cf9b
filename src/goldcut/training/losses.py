"""Losses: from logits (and Z at chosen cuts) and a label distribution to one number.

Each is a frozen bag of hyper-parameters; the data comes in the call. p = softmax of the logits s, q the targets.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import log_softmax, normalize

from goldcut.errors import TrainingError
from goldcut.sources.factory import suggest
from goldcut.training.labels import Targets

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
    """

    logits: Float[Tensor, "b k"]
    targets: Float[Tensor, "b k"]
    labels: Int[Tensor, " b"] | None = None
    z: Mapping[str, Tensor] = field(default_factory=dict)


def cross_entropy(logits: Float[Tensor, "b k"], targets: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
    """-sum_k q_k ln p_k, mean over the batch; where q_k is negative, ln p_k is not followed below ln 1e-6.

    Example:
        >>> cross_entropy(torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.0, 0.0]])).item() == math.log(4)
        True
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
        _within("the exponent of focal", self.gamma, 0, 20)

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
        _within("the weight of logit-norm", self.weight, 0, 100)

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

    The authors' "shrink wrong gradient" (R. Liu et al., ICML 2026, published script: alpha 0.3, scale 0.01). The mass no
    longer sums to 1, so the gradient of logit k is p_k sum(q) - q_k. With one-hot targets it is cross entropy.

    Attributes:
        scale: What is left of the wrong classes' mass, in [0, 1].
    """

    scale: float = 0.01

    def __post_init__(self) -> None:
        _within("the scale of shrink", self.scale, 0, 1)

    @property
    def spec(self) -> str:
        """shrink:SCALE."""
        return f"shrink:{self.scale:g}"

    def refuses(self, targets: Targets) -> str | None:
        """Blends have no wrong classes."""
        return _needs_class(targets)

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        labels = _labels(answers)[:, None]
        shrunk = (self.scale * answers.targets).scatter(1, labels, answers.targets.gather(1, labels))
        return cross_entropy(answers.logits, shrunk)


@dataclass(frozen=True)
class MaxSup(Loss):
    """Cross entropy + weight (max_k s_k - mean_k s_k).

    Y. Zhou et al., "MaxSup: Overcoming Representation Collapse in Label Smoothing" (NeurIPS 2025): label smoothing
    with PyTorch's epsilon is cross entropy + epsilon (s_y - mean_k s_k); here the largest logit stands for that of the class.

    Attributes:
        weight: Of the penalty, in [0, 1): the epsilon that it replaces.
    """

    weight: float = 0.1

    def __post_init__(self) -> None:
        _within("the weight of maxsup", self.weight, 0, 1)

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


def supcon(z: Float[Tensor, "b d"], labels: Int[Tensor, " b"], temperature: float) -> Float[Tensor, ""]:
    """Supervised contrastive loss of unit vectors, eq. 2 (L_out) of P. Khosla et al. (2020).

    Mean over the images that have another one of their class in the batch; 0 where none has.
    """
    alike = labels[:, None] == labels[None]
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    scores = (z @ z.T / temperature).masked_fill(own, float("-inf"))
    log_share = torch.where(own, 0.0, log_softmax(scores, 1))
    positives = alike & ~own
    counts = positives.sum(1)
    each = -torch.where(positives, log_share, 0.0).sum(1) / counts.clamp(min=1)
    return each.sum() / (counts > 0).sum().clamp(min=1)


@dataclass(frozen=True)
class SupCon(Loss):
    """Cross entropy + weight times the supervised contrastive loss of Z at cuts, maps averaged over positions.

    P. Khosla et al., "Supervised Contrastive Learning" (2020), as an addition to cross entropy as the authors have it
    (R. Liu et al., ICML 2026, published script: weight 0.1, temperature 0.07; their sum counts each image as its own
    positive, which is left out here).

    Attributes:
        weight: Of the addition, at least 0.
        temperature: Divides the cosines.
    """

    weight: float = 0.1
    temperature: float = 0.07
    on_cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _within("the weight of supcon", self.weight, 0, 100)

    @property
    def spec(self) -> str:
        """supcon:WEIGHT."""
        return f"supcon:{self.weight:g}"

    def refuses(self, targets: Targets) -> str | None:
        """Blends are alike to nobody."""
        return _needs_class(targets)

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        labels = _labels(answers)
        terms = [supcon(normalize(_positions_out(z), dim=1), labels, self.temperature) for z in answers.z.values()]
        return cross_entropy(answers.logits, answers.targets) + self.weight * torch.stack(terms).mean()


def class_variance(z: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> tuple[Tensor, Tensor]:
    """Variance of each element within each class, and the number of images behind it.

    Returns:
        v (classes present, d), unbiased by n / (n - 1), and n; of the classes with two images or more.
    """
    present, where, count = labels.unique(return_inverse=True, return_counts=True)
    n = count[:, None].to(z.dtype)
    mean = z.new_zeros(len(present), z.shape[1]).index_add(0, where, z) / n
    squares = z.new_zeros(mean.shape).index_add(0, where, (z - mean[where]).square())
    enough = count >= 2
    return squares[enough] / (n[enough] - 1), count[enough]


@dataclass(frozen=True)
class ClassRadius(Loss):
    """Cross entropy + weight times the log of the class radius per element over a noise floor, at cuts.

    L_C = mean over classes and elements of ReLU(ln(v_cj + gamma) - ln(tau sigma^2 + gamma)), v_cj the variance of element j
    within class c: the conditional entropy surrogate of S. Xia et al., "Theoretical Insights in Model Inversion
    Robustness and Conditional Entropy Maximization" (CVPR 2025), with one centre a class and the batch's own variance in
    the place of k-means centres and a running mean. Nothing is gained below the floor, which is what noise of deviation
    sigma, added to Z where it is used, would hide; this loss adds none.

    Z is bounded first, as there: by a sigmoid each element ("sigmoid"), or each element less its batch mean over its
    batch deviation ("standard"). The sigmoid keeps Z from growing away from the floor, yet shrinking Z still lowers
    the loss without hiding anything; the standardised form cannot be lowered by any scale or shift of an element.

    Attributes:
        weight: Of the addition, at least 0; the authors have 8 and 16.
        bound: "sigmoid" or "standard".
        sigma: Deviation of the noise, in units of the bounded Z.
        tau: What share of the noise's power the floor is.
        gamma: Keeps the logarithm from falling without end.
    """

    weight: float = 8.0
    bound: str = "sigmoid"
    sigma: float = 0.1
    tau: float = 0.125
    gamma: float = 0.01
    on_cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _within("the weight of radius", self.weight, 0, 1000)

    @property
    def spec(self) -> str:
        """radius:WEIGHT, or radius-standard:WEIGHT."""
        return f"{'radius' if self.bound == 'sigmoid' else 'radius-standard'}:{self.weight:g}"

    def refuses(self, targets: Targets) -> str | None:
        """Blends are of no class."""
        return _needs_class(targets)

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        labels = _labels(answers)
        terms = [self.excess(z.flatten(1), labels) for z in answers.z.values()]
        return cross_entropy(answers.logits, answers.targets) + self.weight * torch.stack(terms).mean()

    def excess(self, z: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """L_C of one cut; 0 where no class has two images."""
        variance, count = class_variance(BOUNDS[self.bound](z.float()), labels)
        if not len(count):
            return z.sum() * 0.0
        floor = math.log(self.tau * self.sigma**2 + self.gamma)
        return (torch.log(variance + self.gamma) - floor).relu().mean()


def standardised(z: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """Each element less its mean over the batch, over its deviation there."""
    centred = z - z.mean(0)
    return centred * torch.rsqrt(centred.square().mean(0) + 1e-5)


BOUNDS: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "standard": standardised}
"""How Z is bounded before its radius is taken."""

LOSSES: dict[str, Callable[..., Loss]] = {
    "ce": CrossEntropy,
    "focal": Focal,
    "logit-norm": LogitNorm,
    "shrink": Shrink,
    "maxsup": MaxSup,
    "supcon": SupCon,
    "radius": ClassRadius,
    "radius-standard": lambda *weight: ClassRadius(*weight or (1.0,), bound="standard"),
}
"""By the name before the colon; called with the number behind it, if there is one."""


def parse_loss(spec: str) -> Loss:
    """The loss of a spec, such as "ce" or "focal:2".

    Raises:
        TrainingError: No such one, or a number that is none or out of range.

    Example:
        >>> parse_loss("focal:2")
        Focal(gamma=2.0)
    """
    name, colon, text = spec.partition(":")
    if name not in LOSSES:
        raise TrainingError(f"there is no loss {name!r}", suggest(name, LOSSES))
    if name == "ce" and colon:
        raise TrainingError(f"{spec!r} is no loss: ce takes no number", "Write ce.")
    try:
        return LOSSES[name](*([float(text)] if colon else []))
    except ValueError as error:
        raise TrainingError(f"{spec!r} is no loss: {text!r} is no number", f"Write {name}:NUMBER.") from error


def check_pair(loss: Loss, targets: Targets) -> None:
    """Refuse targets that a loss cannot take.

    Raises:
        TrainingError: It cannot.
    """
    if reason := loss.refuses(targets):
        raise TrainingError(
            f"the loss {loss.spec} cannot take the targets {targets.spec}: {reason}", "Change --targets or --loss."
        )


def _needs_class(targets: Targets) -> str | None:
    return "it needs one class an image, and these are blends" if targets.blends else None


def _labels(answers: Answers) -> Int[Tensor, " b"]:
    if answers.labels is None:
        raise TrainingError("this loss needs one class an image, and these are blends", "Change --targets or --loss.")
    return answers.labels


def _positions_out(z: Tensor) -> Float[Tensor, "b d"]:
    """Maps averaged over their positions; everything else flattened."""
    return z.float().mean((2, 3)) if z.ndim == 4 else z.float().flatten(1)


def _within(what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise TrainingError(f"{what} is {value:g} and must be in [{least:g}, {most:g}]", "Correct --loss.")
