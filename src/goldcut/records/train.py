"""The file beside a trained checkpoint: how the weights came to be, and what the representation did meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from goldcut.records.cuts import ModelRecord
from goldcut.records.scan import DataRecord, Provenance


@dataclass(frozen=True, kw_only=True)
class CutRadius:
    """What Z at a watched cut showed on the fixed selection images, in eval mode, at the end of an epoch.

    Attributes:
        cut: Name of the cut.
        radius_sq: R_c^2 by the true labels, as in a scan.
        radius_sq_per_element: The same over the number of elements of Z.
        total_variance: Mean squared distance to the overall mean.
        within_share: Within-class scatter over total scatter, true labels.
        within_share_standardised: The same after dividing each channel by its standard deviation.
        radius_sq_predicted: R_c^2 by the labels that the model predicts; None where it predicts one class only.
        within_share_predicted: within_share by them.
        within_share_standardised_predicted: within_share_standardised by them.
        effective_rank: (tr S)^2 / tr(S^2) of the covariance S; None where Z does not vary.
    """

    cut: str
    radius_sq: float
    radius_sq_per_element: float
    total_variance: float
    within_share: float
    within_share_standardised: float
    radius_sq_predicted: float | None = None
    within_share_predicted: float | None = None
    within_share_standardised_predicted: float | None = None
    effective_rank: float | None = None


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """The state of the training at the end of an epoch.

    Attributes:
        epoch: From 1; 0 is the state before the first step.
        step: Steps taken.
        rate: Learning rate of the last step; 0 before the first.
        accuracy: Share of all selection images that are classified rightly.
        cross_entropy: Mean -ln p of the true class over them, in nats, whatever was trained on.
        entropy: Mean entropy of the output distribution over them, in nats.
        images: Selection images behind the figures of the cuts.
        cuts: The watched cuts, in the order of the network.
    """

    epoch: int
    step: int
    rate: float
    accuracy: float
    cross_entropy: float
    entropy: float
    images: int
    cuts: tuple[CutRadius, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SplitRow:
    """The change of R_c^2 at a cut in one step, split by the logits that cause it (the paper's Neural Vortex).

    Every figure is an unweighted mean over classes with at least two images. For a step in Z, z_i - gamma g_i with
    g_i the gradient of the label distribution's cross entropy, pull + interference + second_order is the exact change;
    a step of the weights moves Z by other ways, and `change` is what it did.

    Attributes:
        cut: Name of the cut.
        step: Steps taken before this one.
        gamma: Learning rate of the step.
        images: Selection images behind the figures.
        radius_sq: R_c^2 before the step.
        pull: First order, the true class's logit: -(2 gamma / N_c) sum_i (p_ic - q_ic) T_c,i.
        interference: First order, the other logits: -(2 gamma / N_c) sum_i sum_k (p_ik - q_ik) T_k,i.
        second_order: gamma^2 times the mean squared distance of g_i to its class mean.
        past_flip: Share of images with p_ic > q_ic (1 - alpha under smoothing), where the pull has changed its sign.
        change: R_c^2 after the step of the weights, less before.
    """

    cut: str
    step: int
    gamma: float
    images: int
    radius_sq: float
    pull: float
    interference: float
    second_order: float
    past_flip: float
    change: float


@dataclass(frozen=True, kw_only=True)
class TrainRecord:
    """The file CKPT.json beside the weights CKPT.

    Attributes:
        model: Spec, input and hash of the weights: the selected ones when complete, the initial ones before.
        training: The images that were trained on.
        selection: Images of the training part that chose the epoch; none of them was trained on.
        test: The images of the test part, looked at once at the end.
        duplicates_removed: Training images that were dropped because the test part holds the same pixels.
        targets: Label distribution, such as "smooth:0.3".
        loss: Such as "ce" or "focal:2".
        acts_on: Cuts that the loss acts on, apart from the logits.
        defense: What was done to Z at `defended_cut` while the model was trained; accuracy, cross entropy and entropy
            are then those of what is sent there.
        defended_cut: Name of the cut.
        settings: All hyper-parameters.
        epochs: Epochs asked for.
        history: One row an epoch, the state before the first step included.
        splits: The change of R_c^2 at chosen steps.
        selected: The epoch whose weights were kept.
        accuracy: On the test part, with 95 % bootstrap limits; None before the end.
        complete: False while epochs are missing.
    """

    schema: Literal["goldcut.train/1"] = "goldcut.train/1"
    model: ModelRecord
    training: DataRecord
    selection: DataRecord
    test: DataRecord
    duplicates_removed: int = 0
    targets: str
    loss: str
    acts_on: tuple[str, ...] = ()
    defense: str | None = None
    defended_cut: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    epochs: int
    history: tuple[EpochRow, ...] = ()
    splits: tuple[SplitRow, ...] = ()
    selected: int | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    complete: bool = False
    provenance: Provenance
