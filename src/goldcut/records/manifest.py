"""The file manifest.json of an export: what the two halves are, how Z crosses, and what was proved of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from goldcut.records.attack import AttackResult, Failure, Inferred, ViewRecord, Worst
from goldcut.records.cuts import Kind, ModelRecord

Number = Literal["fp32", "fp16", "int8"]
"""How an element of Z is written on the wire."""


@dataclass(frozen=True, kw_only=True)
class CodecRecord:
    """How Z crosses.

    Attributes:
        name: fp32 and fp16 as they are; int8 as whole numbers 0..255, with a scale and a zero for each sample.
        zstd: Whether each sample is a zstd frame.
        scales: Where the scale and the zero of int8 come from.
        low: Least value of Z that was seen while the export was verified.
        high: Greatest value of Z that was seen.
        payload_bytes: Median bytes of a sample on the wire, without an envelope, on the images of the check.
    """

    name: Number = "fp32"
    zstd: bool = False
    scales: str = "none"
    low: float | None = None
    high: float | None = None
    payload_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class DefenseRecord:
    """What the edge half does to Z before it leaves, besides the codec; it is part of edge.onnx.

    Attributes:
        spec: As the command line writes it.
        scale_sha256: Hash of the images of which some set its scale, as in the scan's `data`.
        random_shape: Shape per sample of the second input of edge.onnx: numbers in (0, 1) that the device draws anew
            for each call; empty where nothing is drawn.
        jumps: Whether a rounding error can move an element of Z by a whole step.
    """

    spec: str
    scale_sha256: str
    random_shape: tuple[int, ...] = ()
    jumps: bool = False


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What the edge half expects.

    Attributes:
        shape: (C, H, W), float32 in [0, 1].
        fit: What is done to pictures of another size or colour, in words; `goldcut.sources.pictures` does it.
        mean: Subtracted inside the edge half, per channel; empty when it does no normalisation.
        std: Divides inside the edge half.
    """

    shape: tuple[int, int, int]
    fit: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Equality:
    """The exported halves beside the model on the same images, in onnxruntime; behind a defence with the same draws.

    Attributes:
        images: How many.
        source: DATA, or "synthetic": smooth random images.
        z_difference: Largest |Z - Z of the model|, before the codec.
        z_deviation: Standard deviation of Z of the model, to compare with.
        logits_difference: Largest |logits - logits of the model| without the codec.
        logits_deviation: Standard deviation of the model's logits.
        codec_difference: The same as logits_difference with the codec between the halves.
        same_class: Share of images with the class of the model, with defence and codec.
        accuracy: Share of labels that the model predicts; None without DATA whose classes are the model's.
        accuracy_deployed: The same of edge -> codec -> cloud.
        z_elsewhere: Share of the elements of Z that differ by more than rounding can explain; only a defence that
            jumps may have any.
    """

    images: int
    source: str
    z_difference: float
    z_deviation: float
    logits_difference: float
    logits_deviation: float
    codec_difference: float
    same_class: float
    accuracy: float | None = None
    accuracy_deployed: float | None = None
    z_elsewhere: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What an audit says of this cut, and whether it was made on this very edge half.

    Attributes:
        run: Folder of the audit when the certificate was made.
        cut: Name of the cut.
        view: What the attacker was granted; None where the run has no attack.
        worst: The strongest attack at the cut; None where it was not attacked.
        unsettled: Attacks that could have got more: failed, or still improving.
        zone: Cuts of the zone from statistics alone; empty when there is none.
        in_zone: Whether the cut is one of them.
        scan_sha256: Hash of scan.json.
        attack_sha256: Hash of attack.json; None without an attack.
        model_sha256: Hash of the weights that were audited.
        edge_sha256: Hash of the edge.onnx that the certificate is about.
        same_edge: Whether the audit attacked what this edge half sends.
        differences: Why not.
    """

    run: str
    cut: str
    view: ViewRecord | None = None
    worst: Worst | None = None
    unsettled: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()
    in_zone: bool
    scan_sha256: str
    attack_sha256: str | None = None
    model_sha256: str
    edge_sha256: str
    same_edge: bool
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The file manifest.json: one model in two halves, each file with its hash.

    Attributes:
        model_name: Name of the model on the network.
        version: Twelve hexadecimal digits that only these two halves with this codec have; the model version on
            the network, so that an edge half never talks to the cloud half of another export.
        model: Which model it was.
        cut: Name of the cut.
        kind: What the axes of Z mean.
        z_shape: Shape of Z per sample.
        z_dtype: Type of Z in the halves.
        logits_shape: Shape of the answer per sample.
        preprocessing: What the edge half expects.
        codec: How Z crosses.
        classes: Class names in the order of the logits; empty where the answer is no vector.
        files: File name -> SHA-256.
        equality: What was compared before the export was written.
        certificate: What an audit says of it.
        defense: What is done to Z before it leaves, besides the codec; None for nothing.
        mode: Mode of the model that was exported.
        versions: Of the packages that made it.
    """

    schema: Literal["goldcut.manifest/1"] = "goldcut.manifest/1"
    model_name: str
    version: str
    model: ModelRecord
    cut: str
    kind: Kind
    z_shape: tuple[int, ...]
    z_dtype: Literal["float32"] = "float32"
    logits_shape: tuple[int, ...]
    preprocessing: Preprocessing
    codec: CodecRecord
    classes: tuple[str, ...] = ()
    files: Mapping[str, str]
    equality: Equality
    certificate: Certificate | None = None
    defense: DefenseRecord | None = None
    mode: Literal["eval"] = "eval"
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EdgeAttackRecord:
    """The file attack.json of an export: what its edge half sends was attacked, through onnxruntime and codec.

    Attributes:
        version: Of the export.
        edge_sha256: Hash of its edge.onnx.
        cut: Name of the cut.
        codec: How Z crossed, as in "int8+zstd".
        view: What the attacker was granted.
        failed: Attacks that could not be carried out.
        inferred: What Z says of the victims without pixels.
        worst: The strongest attack; None where none was carried out.
        unsettled: Attacks that could have got more: failed, or still improving.
        images_sha256: Hash of the attacker's images and the victims; empty in files of before it was there.
    """

    schema: Literal["goldcut.edge-attack/1"] = "goldcut.edge-attack/1"
    version: str
    edge_sha256: str
    cut: str
    codec: str
    view: ViewRecord
    results: tuple[AttackResult, ...]
    failed: tuple[Failure, ...] = ()
    inferred: tuple[Inferred, ...] = ()
    worst: Worst | None = None
    unsettled: tuple[str, ...] = ()
    images_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that `goldcut verify` looked at.

    Attributes:
        name: What was checked.
        passed: Whether it holds.
        detail: What was found, in one sentence.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class VerifyRecord:
    """What `goldcut verify --json` prints.

    Attributes:
        manifest_sha256: Hash of manifest.json: keep it apart, and nobody can exchange manifest and files together.
        passed: Whether every check holds.
    """

    schema: Literal["goldcut.verify/1"] = "goldcut.verify/1"
    folder: str
    manifest_sha256: str
    passed: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the cloud half says of one image.

    Attributes:
        image: Path of the image.
        label: Name of the class with the largest logit.
        index: Its number.
        probability: Softmax of the logits at that class.
    """

    image: str
    label: str
    index: int
    probability: float


@dataclass(frozen=True, kw_only=True)
class InferRecord:
    """What `goldcut infer --json` prints.

    Attributes:
        request_ids: One a request; the server's log has the same.
        attempts: Requests that were sent, retries included.
        seconds: Wall clock in "edge" (preprocessing and edge half), "codec", "network" and "cloud" (queue and cloud
            half).
        payload_bytes: Bytes of Z on the wire, all images together.
    """

    schema: Literal["goldcut.infer/1"] = "goldcut.infer/1"
    model_name: str
    version: str
    url: str
    answers: tuple[Answer, ...]
    request_ids: tuple[str, ...]
    attempts: int
    seconds: Mapping[str, float]
    payload_bytes: int
