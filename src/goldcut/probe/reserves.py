"""What the labels must be, and what is to be said with the figures: not measured, or only with reserve."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from goldcut.errors import DataError
from goldcut.probe.geometry import FOLDS, Scatter
from goldcut.probe.sample import IMAGES, Sample
from goldcut.records import CutProfile, Refused

ENOUGH = 20
"""Images per class from which the bias of R_c^2, a factor 1 - 1/n, is at most 5 %."""


def check_labels(labels: ndarray, images: int, n_classes: int) -> None:
    """Refuse labels from which no class radius follows.

    Raises:
        DataError: Wrong number or type, out of range, one class, or one image in every class.
    """
    if labels.shape != (images,) or labels.dtype.kind not in "iu":
        raise DataError(
            f"labels are {labels.dtype} of shape {labels.shape}, {images} integers were expected", "Give one an image."
        )
    if images == 0:
        raise DataError("there are no images", "Give at least 2 images of 2 classes.")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(
            f"labels run from {labels.min()} to {labels.max()}, classes from 0 to {n_classes - 1}",
            "Number the classes from 0.",
        )
    counts = np.bincount(labels)
    if (counts > 0).sum() < 2:
        raise DataError("all images have the same label", "Class radii say something from 2 classes on.")
    if counts.max() < 2:
        raise DataError(
            "every class has a single image, so no class has a radius",
            f"Give at least 2 images a class, {ENOUGH} would do, or use --labels predicted or clusters:K.",
        )


def find_reserves(
    rows: Sequence[CutProfile],
    scatters: Mapping[str, Scatter],
    sample: Sample,
    labels: Int[ndarray, " n"],
    n_classes: int,
) -> tuple[Refused, ...]:
    """Everything a reader of the figures must know about how they came to be."""
    counts = np.bincount(labels, minlength=n_classes)
    return (
        *_few_images(counts),
        *_no_limits(rows, len(labels)),
        *_constant(rows, scatters),
        *_fewer_ranked(sample, len(labels)),
    )


def _few_images(counts: Int[ndarray, " classes"]) -> list[Refused]:
    present = counts[counts > 0]
    found = []
    if len(present) < len(counts):
        missing = len(counts) - len(present)
        found.append(Refused(name="empty classes", reason=f"{missing} of {len(counts)} classes have no image"))
    if present.min() < 2:
        found.append(
            Refused(
                name="single images",
                reason=f"{(present == 1).sum()} classes have one image and are left out of radius_sq;"
                f" 2 images a class would let them in, {ENOUGH} would do",
            )
        )
    if present.min() < ENOUGH:
        few = (present < ENOUGH).sum()
        found.append(
            Refused(
                name="images per class",
                reason=f"{few} of {len(present)} classes have fewer than {ENOUGH} images, the smallest {present.min()}:"
                " R_c^2 of n images is low by a factor 1 - 1/n;"
                f" {ENOUGH} a class ({ENOUGH * len(present)} images) would do",
            )
        )
    return found


def _no_limits(rows: Sequence[CutProfile], images: int) -> list[Refused]:
    if all(row.radius_sq_low is not None for row in rows):
        return []
    reason = (
        f"the jackknife needs {FOLDS} folds that each leave a class with 2 images; {images} images do not give them"
    )
    return [Refused(name="intervals", reason=reason)]


def _constant(rows: Sequence[CutProfile], scatters: Mapping[str, Scatter]) -> list[Refused]:
    reason = "Z is the same for all images, so its shares are stated as 0 and it has no information bounds"
    return [Refused(name=row.name, reason=reason) for row in rows if not scatters[row.name].varies]


def _fewer_ranked(sample: Sample, images: int) -> list[Refused]:
    if sample.images >= min(IMAGES, images):
        return []
    reason = f"from {sample.images} images instead of {min(IMAGES, images)}, at every cut: more did not fit the memory"
    return [Refused(name="effective_rank", reason=reason)]
