"""Losses that act on Z at cuts and take the image out of it: defences that are trained in.

None of them promises anything: each makes its own figure small, and what is left has to be attacked afresh afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from goldcut.defenses.base import Defense
from goldcut.defenses.noise import GaussianNoise
from goldcut.errors import TrainingError
from goldcut.networks.decoders import SIZES, build_decoder
from goldcut.records import Cut
from goldcut.training.losses import Answers, Loss, check_within, cross_entropy
from goldcut.training.targets import Targets

TINY = 1e-12
"""Keeps roots and quotients smooth where nothing varies."""


def distance_correlation(x: Float[Tensor, "b p"], z: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Distance correlation in [0, 1], with gradients: the same as `image_dependence` in a scan, without its scaling.

    dCor = sqrt(dCov^2(X, Z) / sqrt(dCov^2(X, X) dCov^2(Z, Z))) of Euclidean distances, not squared ones (G. J. Szekely,
    M. L. Rizzo, N. K. Bakirov, "Measuring and Testing Dependence by Correlation of Distances", 2007, definition 4).
    """
    first, second = _centred_distances(x), _centred_distances(z)
    cosine = (first * second).sum() / (first.norm() * second.norm() + TINY)
    correlation: Tensor = cosine.clamp(min=TINY).sqrt()
    return correlation


def _centred_distances(rows: Float[Tensor, "b d"]) -> Float[Tensor, "b b"]:
    """Distances between all rows at unit root mean square, centred by rows and columns."""
    own = rows - rows.mean(0)
    own = own / (own.square().sum(1).mean().sqrt() + TINY)
    gram = own @ own.T
    squares = gram.diagonal()
    apart = (squares[:, None] + squares - 2 * gram).clamp(min=TINY)
    far = apart.sqrt() * (1 - torch.eye(len(rows), dtype=rows.dtype, device=rows.device))
    centred: Tensor = far - far.mean(0) - far.mean(1, keepdim=True) + far.mean()
    return centred


@dataclass(frozen=True)
class NoPeek(Loss):
    """Cross entropy + weight times the distance correlation of images and Z at cuts.

    P. Vepakomma et al., "NoPeek: Information Leakage Reduction to Share Activations in Distributed Deep Learning"
    (2020). Weights of other programs are of other definitions (squared distances, no root) and do not carry over.

    Attributes:
        weight: Of the addition, at least 0.
    """

    weight: float = 0.5
    on_cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_within("the weight of nopeek", self.weight, 0, 1000)

    @property
    def spec(self) -> str:
        """nopeek:WEIGHT."""
        return f"nopeek:{self.weight:g}"

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        images = images_of(answers).flatten(1).to(answers.logits.dtype)
        terms = [distance_correlation(images, z.float().flatten(1)) for z in answers.z.values()]
        return cross_entropy(answers.logits, answers.targets) + self.weight * torch.stack(terms).mean()


@dataclass(frozen=True)
class Funnel(Loss):
    """Cross entropy + weight (dCor(X, Z) + mean squared correlation of channels + 0.015 mean |Z|), at cuts.

    The losses of SiftFunnel (R. Liu et al., "Information Sifting Funnel", 2025, published script: 5 times the
    divergence from labels smoothed by 0.25, 2, 2 and 0.03, here all over 5, so weight 0.4; give --targets smooth:0.25
    for the labels). Their narrow edge is an architecture and not part of it. Their correlation counts each channel with
    itself, a constant that is left out here.

    Attributes:
        weight: Of the additions, at least 0.
    """

    weight: float = 0.4
    on_cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_within("the weight of funnel", self.weight, 0, 1000)

    @property
    def spec(self) -> str:
        """funnel:WEIGHT."""
        return f"funnel:{self.weight:g}"

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        images = images_of(answers).flatten(1).to(answers.logits.dtype)
        terms = [
            distance_correlation(images, z.flatten(1)) + channel_correlation(z) + 0.015 * z.abs().mean()
            for z in (z.float() for z in answers.z.values())
        ]
        return cross_entropy(answers.logits, answers.targets) + self.weight * torch.stack(terms).mean()


def channel_correlation(z: Float[Tensor, "b ..."]) -> Float[Tensor, ""]:
    """Mean squared Pearson correlation of two different channels over the positions of an image.

    A vector has no positions: its elements are correlated over the batch.

    Example:
        >>> channel_correlation(torch.tensor([[0.0, 0.0], [1.0, 3.0], [2.0, 6.0]]))
        tensor(1.)
    """
    rows = z.T[None] if z.ndim == 2 else z.transpose(1, 2) if z.ndim == 3 else z.flatten(2)
    own = rows - rows.mean(2, keepdim=True)
    own = own * (own.square().sum(2, keepdim=True) + TINY).rsqrt()
    squares = (own @ own.transpose(1, 2)).square()
    channels = squares.shape[1]
    off = squares.sum((1, 2)) - squares.diagonal(dim1=1, dim2=2).sum(1)
    mean: Tensor = (off / max(1, channels * (channels - 1))).mean()
    return mean


@dataclass(frozen=True)
class Bottleneck(Loss):
    """Cross entropy + weight times the nats that the noisy Z can carry, at cuts: a variational information bottleneck.

    A. A. Alemi et al., "Deep Variational Information Bottleneck" (2017), eq. 14: weight KL(q(z|x) || r(z)). Here q is
    what the device sends, N(Z, sigma^2) with the noise of --defense, and r the normal distribution of each element
    that fits the batch best, so that the mean divergence is (1/2) sum_j ln(1 + v_j / sigma^2), v_j the variance of
    element j. It does not change with the scale of Z, because the noise is in units of its deviation.

    Attributes:
        weight: Of a nat, at least 0.
        level: Of the noise, once it is known.
    """

    weight: float = 1e-3
    level: float | None = field(default=None, compare=False)
    on_cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_within("the weight of bottleneck", self.weight, 0, 100)

    @property
    def spec(self) -> str:
        """bottleneck:WEIGHT."""
        return f"bottleneck:{self.weight:g}"

    def joined(self, cuts: Sequence[Cut], image: tuple[int, int, int], defense: Defense | None, seed: int) -> Loss:
        """With the noise that is sent."""
        if not isinstance(defense, GaussianNoise):
            raise TrainingError("a bottleneck is one only where noise is sent", "Give --defense noise:0.3 too.")
        return replace(self, level=defense.level)

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch."""
        if self.level is None:
            raise TrainingError("the noise of the bottleneck is not known", "Call `joined` first.")
        terms = [carried(z.float().flatten(1), self.level) for z in answers.z.values()]
        return cross_entropy(answers.logits, answers.targets) + self.weight * torch.stack(terms).sum()


def carried(z: Float[Tensor, "b d"], level: float) -> Float[Tensor, ""]:
    """(1/2) sum_j ln(1 + v_j / sigma^2) in nats, sigma^2 = level^2 times the mean of v_j.

    Example:
        >>> carried(torch.tensor([[1.0, 5.0], [3.0, 5.0]]), 1.0)
        tensor(0.5493)
    """
    variance = (z - z.mean(0)).square().mean(0)
    return 0.5 * torch.log1p(variance / (level**2 * variance.mean() + TINY)).sum()


@dataclass(frozen=True)
class Adversary(Loss):
    """Cross entropy + weight times what a decoder, trained at the same time, recovers of the images from Z at cuts.

    min over the network, max over the decoder of CE + weight * max(0, 1 - MSE(D(Z), x) / Var(x)), as J. Li et al.,
    "ResSFL" (CVPR 2022) have it with a structural similarity, and A. Li et al., "DeepObfuscator" (2021) with the
    error itself. Beyond the mean image, where nothing is recovered, there is nothing to gain, so the network does not
    train against a decoder's blunders. The decoder sees what is sent, defence included, and is the audit's smallest;
    a fresh attacker afterwards is stronger.

    Attributes:
        weight: Of what is recovered, at least 0.
        decoders: One for each cut, once they are built; trained with the network's own rate.
    """

    weight: float = 1.0
    decoders: nn.ModuleList | None = field(default=None, repr=False, compare=False)
    on_cuts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_within("the weight of adversary", self.weight, 0, 1000)

    @property
    def spec(self) -> str:
        """adversary:WEIGHT."""
        return f"adversary:{self.weight:g}"

    @property
    def companion(self) -> nn.Module | None:
        """The decoders."""
        return self.decoders

    def refuses(self, targets: Targets) -> str | None:
        """Blends: a decoder would learn images that nobody sends."""
        return "its decoder would learn blends of images" if targets.blends else None

    def joined(self, cuts: Sequence[Cut], image: tuple[int, int, int], defense: Defense | None, seed: int) -> Loss:
        """With fresh decoders."""
        built = [build_decoder(cut.shape, cut.kind, image, SIZES["XS"], seed=seed) for cut in cuts]
        return replace(self, decoders=nn.ModuleList(built))

    def __call__(self, answers: Answers) -> Float[Tensor, ""]:
        """The loss of a batch: the decoders' own error, from which Z learns nothing, is part of it."""
        if self.decoders is None:
            raise TrainingError("the decoders of the adversary are not built", "Call `joined` first.")
        images = images_of(answers)
        zero = (images - images.mean(0)).square().mean() + TINY
        own, recovered = [], []
        for decoder, z in zip(self.decoders, (answers.sent or answers.z).values(), strict=True):
            held: Mapping[str, Tensor] = {name: weight.detach() for name, weight in decoder.named_parameters()}
            own.append((decoder(z.detach().float()) - images).square().mean() / zero)
            error = (functional_call(decoder, dict(held), (z.float(),)) - images).square().mean() / zero
            recovered.append((1 - error).relu())
        against = self.weight * torch.stack(recovered).mean()
        return cross_entropy(answers.logits, answers.targets) + against + torch.stack(own).mean()


def images_of(answers: Answers) -> Float[Tensor, "b c h w"]:
    """The images themselves.

    Raises:
        TrainingError: They are not at hand.
    """
    if answers.images is None:
        raise TrainingError("this loss needs the images, and they are not at hand", "Pass them in Answers.")
    return answers.images
