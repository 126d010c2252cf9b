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

MOST_ELSEWHERE = 1e-3
"""Largest share of the elements of Z that a rounding error may have moved by a step, behind a defence that jumps."""

Array = Float[np.ndarray, "b ..."]


@dataclass(frozen=True, eq=False)
class Reference:
    """What the model makes of some images.

    Attributes:
        images: (b, C, H, W) float32 in [0, 1].
        z: (b, ...) as it is sent: behind the defence, where there is one.
        logits: (b, ...), of this z.
        random: What the defence drew; None where it draws nothing.
        undefended: (b, ...), the logits without the defence; None where there is none.
    """

    images: Array
    z: Array
    logits: Array
    random: Array | None = None
    undefended: Array | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """The halves beside a model on all images.

    Attributes:
        z_difference: Largest difference of Z.
        z_elsewhere: Share of its elements that differ by more than TOLERANCE.
        z_deviation: Standard deviation of the model's Z, over batches in the mean square.
        low: Least value of Z.
        high: Greatest value of Z.
        payload: Bytes on the wire of each sample.
        truth: Logits of the model, behind the defence where there is one.
        undefended: Logits of the model itself.
        plain: Logits of the halves without the codec.
        coded: Logits of the halves with the codec.
    """

    z_difference: float
    z_elsewhere: float
    z_deviation: float
    low: float
    high: float
    payload: tuple[int, ...]
    truth: Array
    undefended: Array
    plain: Array
    coded: Array

    @property
    def same_class(self) -> float:
        """Share of images with the same largest logit as the model's."""
        return float(np.mean(classes_of(self.coded) == classes_of(self.undefended)))

    def record(self, source: str, labels: np.ndarray | None) -> Equality:
        """As it stands in the manifest; labels where they are classes of the model."""
        right = (
            None
            if labels is None
            else [float(np.mean(classes_of(one) == labels)) for one in (self.undefended, self.coded)]
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
            z_elsewhere=self.z_elsewhere,
        )


def compare(
    edge: Half, cloud: Half, codec: Codec, references: Iterable[Reference], *, jumps: bool = False
) -> Comparison:
    """Run edge -> cloud and edge -> codec -> cloud on the images of a model's own answers.

    Args:
        edge: The edge half, which gets the draws of the references.
        cloud: The cloud half.
        codec: Between them.
        references: What the model makes of the images.
        jumps: Whether a rounding error before the defence can move Z by a whole step: the cloud half is then
            compared on the model's own Z.
    """
    differences, elsewhere, variances, lows, highs = [], [], [], [], []
    payload: list[int] = []
    logits: list[tuple[Array, Array, Array, Array]] = []
    for reference in references:
        z = edge(reference.images, reference.random)
        _same_shape("Z", z, reference.z)
        difference = np.abs(z - reference.z)
        differences.append(float(difference.max()))
        elsewhere.append(float(np.mean(difference > TOLERANCE * max(float(reference.z.std()), FAINT))))
        variances.append(float(reference.z.var(dtype=np.float64)))
        lows.append(float(z.min()))
        highs.append(float(z.max()))
        rows = [codec.encode(row[None]) for row in z]
        payload += [payload_bytes(row) for row in rows]
        decoded = np.concatenate([codec.decode(row, 1) for row in rows])
        plain, coded = cloud(reference.z if jumps else z), cloud(decoded)
        _same_shape("the logits", plain, reference.logits)
        undefended = reference.logits if reference.undefended is None else reference.undefended
        logits.append((reference.logits, undefended, plain, coded))
    parts = [np.concatenate(one) for one in zip(*logits, strict=True)]
    deviation = float(np.sqrt(np.mean(variances)))
    share = float(np.mean(elsewhere))
    return Comparison(max(differences), share, deviation, min(lows), max(highs), tuple(payload), *parts)


def refuse_unequal(found: Equality, *, jumps: bool = False) -> None:
    """Refuse halves that do not compute what the model does.

    Args:
        found: From `compare`.
        jumps: Whether a few elements of Z may differ by a whole step of the defence.

    Raises:
        DeployError: Z or the logits differ, or the logits hardly depend on the images, so that nothing was shown.
    """
    if not found.logits_deviation > FAINT:
        raise DeployError(
            f"the logits hardly depend on the images (deviation {found.logits_deviation:.1e}), so a wrong half would "
            "not show",
            "Export trained weights, or give --data.",
        )
    compared = [("the logits", found.logits_difference, found.logits_deviation)]
    if not jumps:
        compared.insert(0, ("Z", found.z_difference, found.z_deviation))
    elif found.z_elsewhere > MOST_ELSEWHERE:
        raise DeployError(
            f"{found.z_elsewhere:.1%} of the elements of Z of the exported edge half differ from the model's",
            "Try another cut, or report the model.",
        )
    for what, difference, deviation in compared:
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
