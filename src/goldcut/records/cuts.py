"""Where a model can be cut, and what each cut costs."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["block", "group", "all", "output"]
Kind = Literal["map", "tokens", "vector"]
LEVELS: tuple[str, ...] = ("block", "group", "all")


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A place where exactly one input-dependent tensor Z is still to be used.

    Attributes:
        name: The outermost module whose output Z is, or "<module>/<op>"; the logits are "output".
        aliases: Other names accepted for the same place.
        shape: Shape of Z per sample, without the batch.
        kind: "map" (C, H, W), "tokens" (T, D) or "vector" (D,); decides decoders and channels.
        elements: Number of elements D of Z per sample.
        level: The coarsest view that shows the cut; "output" marks the logits.
    """

    name: str
    aliases: tuple[str, ...] = ()
    shape: tuple[int, ...]
    kind: Kind
    elements: int
    level: Level


@dataclass(frozen=True, kw_only=True)
class PricedCut(Cut):
    """A cut with what it costs on the device, in the cloud and on the wire.

    Attributes:
        edge_params: Parameters of the edge half.
        cloud_params: Parameters of the cloud half; shared weights count in both.
        edge_flops: FLOPs of one sample in the edge half (2 x multiply-accumulate).
        cloud_flops: FLOPs of one sample in the cloud half.
        payload_bytes: Bytes of Z for one sample as fp32, without an envelope.
        edge_seconds: Median wall clock of the edge half for one image on this machine, where it was measured.
        cloud_seconds: The same of the cloud half.
        edge_peak_bytes: Most bytes of activations alive at once in the edge half, where it was measured.
    """

    edge_params: int
    cloud_params: int
    edge_flops: int
    cloud_flops: int
    payload_bytes: int
    edge_seconds: float | None = None
    cloud_seconds: float | None = None
    edge_peak_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Something that was left out (a place that is no cut, a cut not measured), and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """Which model it was.

    Attributes:
        spec: The MODEL argument, such as "torchvision:resnet18".
        checkpoint: Path of the checkpoint that was loaded, if any.
        weights: Name of a library's pretrained weights, if any.
        classes: Number of classes asked for, if any.
        input_shape: (C, H, W) of the images that the model receives in [0, 1].
        mean: Per-channel mean subtracted inside the model; empty when it does no normalisation.
        std: Per-channel divisor inside the model.
        sha256: Hash over names, shapes and values of all parameters and buffers.
    """

    spec: str
    checkpoint: str | None = None
    weights: str | None = None
    classes: int | None = None
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    sha256: str


@dataclass(frozen=True, kw_only=True)
class CutsRecord:
    """What `goldcut cuts --json` prints."""

    schema: Literal["goldcut.cuts/1"] = "goldcut.cuts/1"
    model: ModelRecord
    cuts: tuple[PricedCut, ...]
    refused: tuple[Refused, ...] = ()
