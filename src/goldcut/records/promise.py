"""The file promise.json: a bound that holds against any attack, its price, and what an attack gets beside it."""

from dataclasses import dataclass
from typing import Literal

from goldcut.records.attack import AttackResult
from goldcut.records.scan import Provenance


@dataclass(frozen=True, kw_only=True)
class GalleryOdds:
    """How often the right one of M images of one class is picked, by the promise and by the best attacker.

    Attributes:
        images: M.
        promised: No attacker is right more often, on average over images like those of the audit.
        reached: How often the attacker is right who knows the edge half and all M images: the nearest Z, which no
            rule beats when the noise is Gaussian and all images are equally likely. None where no class has M images.
        reached_low, reached_high: 95 % limits of `reached`.
        trials: Images sent behind `reached`.
    """

    images: int
    promised: float
    reached: float | None = None
    reached_low: float | None = None
    reached_high: float | None = None
    trials: int = 0


@dataclass(frozen=True, kw_only=True)
class FisherLeakage:
    """How sharply what is sent tells an image from its neighbours: (1/d) tr(J'J) K / sigma^2, d the pixels.

    Attributes:
        leakage: Mean over images, per squared unit of a pixel in [0, 1]; all releases together.
        leakage_low, leakage_high: 95 % bootstrap limits of it over images.
        unbiased_mse: 1 / leakage: no unbiased estimate errs less per pixel, on average over such images.
        mean_image_mse: What the mean image errs on the same images. Where it is the smaller, unbiased estimates are
            no measure of an attacker.
        images: Behind these figures.
        probes: Random signs for each.
        assumption: What the figure rests on.
    """

    leakage: float
    leakage_low: float
    leakage_high: float
    unbiased_mse: float | None
    mean_image_mse: float
    images: int
    probes: int
    assumption: str


@dataclass(frozen=True, kw_only=True)
class PromiseRecord:
    """Z at a cut is scaled down to a norm of at most `clip_norm` and sent with Gaussian noise.

    Attributes:
        scan_sha256: Hash of the scan.json of the run.
        cut: Name of the cut.
        elements: D.
        releases: How often the same input is sent, each time with noise of its own.
        clip_norm: Largest Euclidean norm of Z.
        sigma: Deviation of the noise per element.
        sigma_relative: The same in units of the root mean square of the clipped Z about its mean.
        bits: Upper limit of I(X; Z+N), all releases together.
        bits_within: Upper limit of I(X; Z+N | Y): what is learned beside the class.
        failure: Probability that the limits on the variances, which come from `images` images, are too low.
        images: Images behind the limits; as many others gave the directions.
        asked: What was to be kept, in words.
        galleries: Odds at the M that was asked for, and at one that the data can test.
        accuracy: Of the model as it is, on the images behind the limits.
        accuracy_clipped: With Z clipped and no noise.
        accuracy_noisy: With one noisy release.
        accuracy_adapted: The same after the cloud half was trained on noisy Z of `adapted_on` other images.
        accuracy_most: What the bits leave to any classifier, where that is less than 1 (by Fano's inequality, for
            classes in the shares of these images).
        results: What trained attackers recover from all releases, knowing clipping and noise.
        assumptions: What the promise rests on.
        fisher: A second figure that rests on an assumption of its own; None in files of before it was there.
    """

    schema: Literal["goldcut.promise/1"] = "goldcut.promise/1"
    scan_sha256: str
    cut: str
    elements: int
    releases: int
    clip_norm: float
    sigma: float
    sigma_relative: float
    bits: float
    bits_within: float
    failure: float
    images: int
    asked: str
    galleries: tuple[GalleryOdds, ...]
    accuracy: float | None = None
    accuracy_clipped: float | None = None
    accuracy_noisy: float | None = None
    accuracy_adapted: float | None = None
    adapted_on: int = 0
    accuracy_most: float
    results: tuple[AttackResult, ...] = ()
    assumptions: tuple[str, ...]
    fisher: FisherLeakage | None = None
    provenance: Provenance
