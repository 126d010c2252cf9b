"""The file scan.json: statistics of every cut and the zones from statistics alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from goldcut.records.cuts import ModelRecord, PricedCut, Refused


@dataclass(frozen=True, kw_only=True)
class DataRecord:
    """Which images they were.

    Attributes:
        spec: The DATA argument.
        part: Which part of it, such as "test" or "all".
        images: Number of images.
        shape: (C, H, W).
        classes: Class names in label order.
        sha256: Hash over all images and labels in order.
        note: What was done to them on the way in (resized, converted), in words.
    """

    spec: str
    part: str
    images: int
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    sha256: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class InformationBound:
    """Upper bounds on what Z + N can say of the input, N Gaussian of deviation sigma per element.

    Attributes:
        rho: sigma in units of the root mean variance per element.
        sigma: Standard deviation of the noise per element.
        global_nats: Bound on I(X; Z+N) from the total variance.
        class_nats: Bound on I(X; Z+N) from the class radii, H(Y) included.
        conditional_nats: Bound on I(X; Z+N | Y) from the class radii.
        relative_gap: 1 - class_nats / global_nats.
    """

    rho: float
    sigma: float
    global_nats: float
    class_nats: float
    conditional_nats: float
    relative_gap: float


@dataclass(frozen=True, kw_only=True)
class SampleCounts:
    """How many images the classes had."""

    classes: int
    fewest: int
    median: float
    most: int


@dataclass(frozen=True, kw_only=True)
class CutProfile(PricedCut):
    """A row of the scan: a priced cut and the statistics of Z there.

    `_low` and `_high` are 95 % limits from a grouped jackknife over 10 folds; None where a figure
    cannot be had (the reason is then in `skipped` of the scan).

    Attributes:
        radius_sq: Mean over classes of the class mean squared radius R_c^2 (unweighted, plug-in).
        total_variance: Mean squared distance to the overall mean.
        within_share: Within-class scatter over total scatter, in [0, 1].
        within_share_standardised: The same after dividing each channel by its standard deviation.
        radius_sq_per_element: radius_sq / elements.
        radius_sq_paper: R_c^2 as the paper's script computes it: one batch, predicted labels,
            singletons counted as radius 0.
        effective_rank: (tr S)^2 / tr(S^2) of the covariance S of Z.
        effective_rank_images: Number of images behind effective_rank, its upper limit plus one.
        image_dependence: Distance correlation of images and Z, channels standardised, in [0, 1].
        image_dependence_images: Number of images behind image_dependence; fewer make it larger.
        entropy_global_paper: The paper's (D/2) ln(2 pi e total_variance / D), in nats.
        entropy_class_paper: The paper's sum_c p_c (D/2) ln(2 pi e R_c^2 / D), in nats.
        information: Bounds, one for each noise level.
        samples_per_class: How many images the classes had.
        accuracy: Of the cloud half on what is sent, where the run has a defence.
    """

    radius_sq: float
    radius_sq_low: float | None = None
    radius_sq_high: float | None = None
    total_variance: float
    total_variance_low: float | None = None
    total_variance_high: float | None = None
    within_share: float
    within_share_low: float | None = None
    within_share_high: float | None = None
    within_share_standardised: float
    within_share_standardised_low: float | None = None
    within_share_standardised_high: float | None = None
    radius_sq_per_element: float
    radius_sq_paper: float | None = None
    effective_rank: float | None = None
    effective_rank_images: int = 0
    image_dependence: float | None = None
    image_dependence_low: float | None = None
    image_dependence_high: float | None = None
    image_dependence_images: int = 0
    entropy_global_paper: float | None = None
    entropy_class_paper: float | None = None
    information: tuple[InformationBound, ...] = ()
    samples_per_class: SampleCounts
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Zone:
    """Where a rule says the Golden Partition Zone is.

    Attributes:
        rule: Name of the rule: "paper", "default", "post_hoc_half" or "post_hoc_quarter".
        decided: False when the rule cannot be applied; the reasons say why.
        first: First cut of the zone; None when there is no zone or it is not decided.
        cuts: All cuts of the zone, in the order of the network, the output left out.
        indicated: The cuts that the rule itself points at (the paper's one or two indices).
        reasons: Why, in sentences a person can read.
        confidence: Share of jackknife folds that give the same first cut, where it is known.
    """

    rule: str
    decided: bool = True
    first: str | None = None
    cuts: tuple[str, ...] = ()
    indicated: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How a record came to be: enough to make it again."""

    command: str
    started: str
    seconds: float
    versions: Mapping[str, str]
    seeds: Mapping[str, int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: str = ""
    device: str = "cpu"
    threads: int = 0


@dataclass(frozen=True, kw_only=True)
class ScanRecord:
    """The file scan.json: every cut, its price and statistics, and the zones from statistics alone.

    Attributes:
        labels: "truth", "predicted" or "clusters:K".
        level: The view that chose the cuts.
        accuracy: Share of scanned images whose label the model predicts, without a defence; None without logits.
        defense: What is done to Z before it leaves the device; the statistics are of what is sent.
        recommended: The zone cut with the fewest edge FLOPs; None when there is no zone.
        skipped: What was not measured, and why.
        warnings: What a reader must know before using the figures.
    """

    schema: Literal["goldcut.scan/1"] = "goldcut.scan/1"
    model: ModelRecord
    data: DataRecord
    labels: str
    level: str
    accuracy: float | None = None
    defense: str | None = None
    cuts: tuple[CutProfile, ...]
    refused: tuple[Refused, ...] = ()
    zone_paper: Zone
    zone: Zone
    recommended: str | None = None
    skipped: tuple[Refused, ...] = ()
    warnings: tuple[str, ...] = ()
    provenance: Provenance
