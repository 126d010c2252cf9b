"""The file attack.json: what real attackers recovered, the independent check of the zone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from goldcut.records.scan import Provenance, Zone

Knowledge = Literal["none", "architecture", "queries", "weights"]
"""What an attacker knows of the edge half: nothing but what it sends; its structure; its answers to any image; its
weights."""

KNOWLEDGE: tuple[Knowledge, ...] = ("none", "architecture", "queries", "weights")
"""From the weakest attacker to the strongest; each can do what those before it can."""

LABEL = "label"
"""What is inferred where it is the true class."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """How near a set of reconstructions is to the victims; `_low`, `_high` are 95 % bootstrap limits.

    Attributes:
        mse: Mean squared error per element, images in [0, 1].
        mse_channel_sum: mse times the number of channels (the paper's unit).
        psnr: 10 log10(1 / mse) of the mean mse, in dB.
        psnr_mean_of_images: Mean of the decibels of each image, as some papers report it; never below psnr.
        cosine: Mean cosine of reconstruction and image, each less its own mean.
        ssim: Mean structural similarity; its window is in the view.
        recovered: 1 - MSE / MSE of the mean image of the attacker's training images; not clipped.
        recovered_own_mean: The same against the victims' own mean image (a foreign auxiliary set).
        beyond_label: 1 - MSE / MSE of the class-mean image of the predicted label.
        identification: Share of victims nearer to their own reconstruction's source than the 19
            others of the same predicted label; chance is 1/20.
        identification_victims: Victims that had 19 others to be compared with.
        agreement: Share of reconstructions of which an independent classifier says what it says of the image.
        identity_cosine: Mean cosine of what an embedder makes of reconstruction and image.
        lpips: Mean LPIPS of reconstruction and image (AlexNet), images below 64 pixels enlarged to 64.
    """

    mse: float
    mse_low: float | None = None
    mse_high: float | None = None
    mse_channel_sum: float
    psnr: float
    psnr_mean_of_images: float | None = None
    cosine: float | None = None
    ssim: float | None = None
    recovered: float
    recovered_low: float | None = None
    recovered_high: float | None = None
    recovered_own_mean: float | None = None
    beyond_label: float | None = None
    identification: float | None = None
    identification_low: float | None = None
    identification_high: float | None = None
    identification_victims: int = 0
    agreement: float | None = None
    agreement_low: float | None = None
    agreement_high: float | None = None
    identity_cosine: float | None = None
    identity_cosine_low: float | None = None
    identity_cosine_high: float | None = None
    lpips: float | None = None
    lpips_low: float | None = None
    lpips_high: float | None = None


@dataclass(frozen=True, kw_only=True)
class AttackResult(Scores):
    """One attack at one cut.

    Attributes:
        cut: Name of the cut.
        attack: Name of the attack, such as "decoder-S".
        selection_mse: MSE on the attacker's selection images, which chose the result.
        converged: Whether the last quarter of the training improved selection_mse by less than 1 %.
        steps: Optimisation steps; 0 for closed forms.
        seconds: Wall clock of the attack at this cut, features included once.
        recovered_full_size: `recovered` at the model's own size, when the attack worked smaller.
        transform: Point-wise transform of Z that the attacker chose.
        settings: Hyper-parameters.
        note: What a reader must know (retried at a lower rate, ...).
        needs: What the attacker must know of the edge at least.
        victims: Victims that were scored, the first ones of all; 0 in files of before this was kept.
    """

    cut: str
    attack: str
    selection_mse: float
    converged: bool
    steps: int = 0
    seconds: float
    recovered_full_size: float | None = None
    transform: str = "none"
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    needs: Knowledge = "queries"
    victims: int = 0


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An attack that could not be carried out at a cut, and why.

    Attributes:
        needs: What the attacker would have to know.
    """

    cut: str
    attack: str
    reason: str
    needs: Knowledge = "queries"


@dataclass(frozen=True, kw_only=True)
class Inferred:
    """What is inferred of the victims from Z at a cut, without any pixels.

    Attributes:
        cut: Name of the cut.
        probe: "linear" and "mlp" learn from the attacker's pairs; "retrieval" looks at the nearest other victim.
        target: What is inferred: the true class (LABEL), or an attribute by its name.
        accuracy: Share of victims that are inferred rightly; `_low`, `_high` are 95 % bootstrap limits.
        chance: The same without a look at Z: the share of the most frequent value, or of another victim's being the
            same.
        classes: Values that occur among the victims.
        victims: Victims that were scored.
        seconds: Wall clock.
    """

    cut: str
    probe: Literal["linear", "mlp", "retrieval"]
    target: str = LABEL
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    chance: float
    classes: int
    victims: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Baselines:
    """What an attacker gets without looking (mean, class mean) or by looking up (nearest).

    Attributes:
        mean_image: The mean of the attacker's training images; the zero of `recovered`.
        class_mean: The mean image of the predicted label.
        nearest: Per cut, the attacker's image whose Z is nearest.
    """

    mean_image: Scores
    class_mean: Scores | None = None
    nearest: Mapping[str, Scores] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ViewRecord:
    """The threat model and the parts: what the attacker was granted.

    Attributes:
        knowledge: What the attacker knows of the edge half: one of KNOWLEDGE.
        auxiliary: Spec and part of the attacker's images.
        auxiliary_same_data: Whether they come from the same data set as the victims.
        target_trained_on_auxiliary: "yes", "no" or "unknown".
        training_images: Attacker training.
        selection_images: Attacker selection.
        victims: Images scored once.
        duplicates_removed: Attacker images dropped because a victim has the same hash.
        reconstruction_shape: (C, H, W) at which the attack works and is scored.
        ceiling_recovered: `recovered` at full size of the victims' own low-pass, when smaller.
        ssim_window: Window of the structural similarity in pixels.
        stochastic: Whether the edge answers the same image differently each time; None where nobody looked.
        queries: How often each image passes a stochastic edge; the attacker sees the mean of Z.
    """

    knowledge: Knowledge
    auxiliary: str
    auxiliary_same_data: bool
    target_trained_on_auxiliary: str = "unknown"
    training_images: int
    selection_images: int
    victims: int
    duplicates_removed: int = 0
    reconstruction_shape: tuple[int, int, int]
    ceiling_recovered: float | None = None
    ssim_window: int = 11
    stochastic: bool | None = None
    queries: int = 1


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The attack with the highest `recovered` at a cut."""

    cut: str
    attack: str
    recovered: float
    recovered_low: float | None = None
    recovered_high: float | None = None
    converged: bool


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """The strongest attack at a cut, for another number of images or queries.

    Attributes:
        cut: Name of the cut.
        training_images: Images that the attacker trained on.
        queries: How often each image passed a stochastic edge.
        attack: The attack with the highest `recovered`.
        recovered: Against the same mean image at every point of a curve: that of all the attacker's images.
    """

    cut: str
    training_images: int
    queries: int
    attack: str
    recovered: float
    recovered_low: float | None = None
    recovered_high: float | None = None
    converged: bool


@dataclass(frozen=True, kw_only=True)
class AttackRecord:
    """The file attack.json: the independent check of the zone.

    Attributes:
        scan_sha256: Hash of the scan.json that was attacked.
        attacked: Cuts that were to be attacked, in order.
        failed: Attacks that could not be carried out.
        inferred: What Z says of the victims without pixels.
        complete: False while attacks of the plan are still missing.
        worst_by_knowledge: The same as `worst` among the attacks that each attacker can carry out.
        sweep: What fewer images or fewer queries give; the points of `worst` themselves are among them.
    """

    schema: Literal["goldcut.attack/1"] = "goldcut.attack/1"
    scan_sha256: str
    view: ViewRecord
    attacked: tuple[str, ...]
    baselines: Baselines
    results: tuple[AttackResult, ...]
    failed: tuple[Failure, ...] = ()
    inferred: tuple[Inferred, ...] = ()
    worst: tuple[Worst, ...]
    zone_post_hoc: Zone
    zone_post_hoc_quarter: Zone
    complete: bool = True
    worst_by_knowledge: Mapping[Knowledge, tuple[Worst, ...]] = field(default_factory=dict)
    sweep: tuple[SweepPoint, ...] = ()
    provenance: Provenance


def unsettled(record: AttackRecord, cut: str) -> list[str]:
    """The attacks at a cut that could have got more than is known, each with why, as in "decoder-S failed".

    One that was still improving counts where its interval reaches that of the strongest attack. The failure of an
    attacker who cannot even ask the edge says nothing of one who can, and does not count.
    """
    worst = next((one for one in record.worst if one.cut == cut), None)
    least = worst.recovered_low if worst and worst.recovered_low is not None else float("-inf")
    failed = [one for one in record.failed if one.cut == cut and one.needs not in ("none", "architecture")]
    improving = [
        one
        for one in record.results
        if one.cut == cut
        and not one.converged
        and (one.recovered if one.recovered_high is None else one.recovered_high) >= least
    ]
    return [f"{one.attack} failed" for one in failed] + [f"{one.attack} was still improving" for one in improving]
