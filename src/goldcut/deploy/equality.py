"""The exported halves beside the model: Z, the logits, and what the codec does to them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from goldcut.deploy.runtime import Half
from goldcut.errors import DeployError
from goldcut.records import Equality
from goldcut.wire.codec import Codec, payload_bytes

TOLERANCE = 1e-3
"""Largest difference accepted without the codec, relative to the standard deviation of what is compared."""

FAINT = 1e-6
"""Logits that vary less than this, relative to their size or to 1, cannot show a difference."""

Array = Float[np.ndarray, "b ..."]


@dataclass(frozen=True, eq=False)
class Reference:
    """What the model makes of some images.

    Attributes:
        images: (b, C, H, W) float32 in [0, 1].
        z: (b, ...) at the cut.
        logits: (b, ...).
    """

    images: Array
    z: Array
    logits: Array


@dataclass(frozen=True, eq=False)
class Comparison:
    """The halves beside a model on all images.

    Attributes:
        z_difference: Largest difference of Z.
        z_deviation: Standard deviation of the model's Z, over batches in the mean square.
        low: Least value of Z.
        high: Greatest value of Z.
        payload: Bytes on the wire of each sample.
        truth: Logits of the model.
        plain: Logits of the halves without the codec.
        coded: Logits of the halves with the codec.
    """

    z_difference: float
    z_deviation: float
    low: float
    high: float
    payload: tuple[int, ...]
    truth: Array
    plain: Array
    coded: Array

    @property
    def same_class(self) -> float:
        """Share of images with the same largest logit as the model's."""
        return float(np.mean(classes_of(self.coded) == classes_of(self.truth)))

    def record(self, source: str, labels: np.ndarray | None) -> Equality:
        """As it stands in the manifest; labels where they are classes of the model."""
        right = (
            None if labels is None else [float(np.mean(classes_of(one) == labels)) for one in (self.truth, self.coded)]
        )
        return Equality(
            images=len(self.truth),
            source=source,
            z_difference=self.z_difference,
            z_deviation=self.z_deviation,
            logits_difference=float(np.abs(self.plain - self.truth).max()),
            logits_deviation=float(self.truth.std()),
            codec_difference=float(np.abs(self.coded - self.truth).max()),
            same_class=self.same_class,
            accuracy=right[0] if right else None,
            accuracy_deployed=right[1] if right else None,
        )


def compare(edge: Half, cloud: Half, codec: Codec, references: Iterable[Reference]) -> Comparison:
    """Run edge -> cloud and edge -> codec -> cloud on the images of a model's own answers."""
    differences, variances, lows, highs = [], [], [], []
    payload: list[int] = []
    logits: list[tuple[Array, Array, Array]] = []
    for reference in references:
        z = edge(reference.images)
        _same_shape("Z", z, reference.z)
        differences.append(float(np.abs(z - reference.z).max()))
        variances.append(float(reference.z.var(dtype=np.float64)))
        lows.append(float(z.min()))
        highs.append(float(z.max()))
        rows = [codec.encode(row[None]) for row in z]
        payload += [payload_bytes(row) for row in rows]
        decoded = np.concatenate([codec.decode(row, 1) for row in rows])
        plain, coded = cloud(z), cloud(decoded)
        _same_shape("the logits", plain, reference.logits)
        logits.append((reference.logits, plain, coded))
    truth, plain, coded = (np.concatenate(parts) for parts in zip(*logits, strict=True))
    deviation = float(np.sqrt(np.mean(variances)))
    return Comparison(max(differences), deviation, min(lows), max(highs), tuple(payload), truth, plain, coded)


def refuse_unequal(found: Equality) -> None:
    """Refuse halves that do not compute what the model does.

    Raises:
        DeployError: Z or the logits differ, or the logits hardly depend on the images, so that nothing was shown.
    """
    if not found.logits_deviation > FAINT:
        raise DeployError(
            f"the logits hardly depend on the images (deviation {found.logits_deviation:.1e}), so a wrong half would "
            "not show",
            "Export trained weights, or give --data.",
        )
    for what, difference, deviation in (
        ("Z", found.z_difference, found.z_deviation),
        ("the logits", found.logits_difference, found.logits_deviation),
    ):
        if not difference <= TOLERANCE * max(deviation, FAINT):
            raise DeployError(
                f"{what} of the exported halves differ from the model's by {difference:.2e}, at a deviation of "
                f"{deviation:.2e}",
                "Try another cut, or report the model.",
            )


def classes_of(logits: Array) -> np.ndarray:
    """Number of the largest logit of each image."""
    largest: np.ndarray = logits.reshape(len(logits), -1).argmax(1)
    return largest


def _same_shape(what: str, ours: Array, truth: Array) -> None:
    if ours.shape != truth.shape:
        raise DeployError(f"{what} of the exported halves have shape {ours.shape}, the model's {truth.shape}")
