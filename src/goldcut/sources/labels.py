"""What is demanded of labels: one integer an image, and classes that can be told apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from goldcut.errors import DataError

MOST_CLASSES = 100_000
"""Labels from here on are no class numbers but something else."""


def check_labels(y: Any, images: int) -> Int64[np.ndarray, " n"]:
    """Labels as int64, one an image.

    Raises:
        DataError: Not one an image, not integers, or below 0.
    """
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"labels have shape {labels.shape}, not (N,)", "Turn one-hot labels into numbers: y.argmax(1).")
    if len(labels) != images:
        raise DataError(f"there are {images} images and {len(labels)} labels", "Give one label an image.")
    if images == 0:
        raise DataError("there are no images", "Give some.")
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"labels are {labels.dtype} and integers 0, 1, ... are expected",
            "Number them: np.unique(y, return_inverse=True)[1].",
        )
    if labels.min() < 0 or labels.max() >= MOST_CLASSES:
        row = labels.argmin() if labels.min() < 0 else labels.argmax()
        raise DataError(
            f"label {labels[row]} of image {row} is outside 0..{MOST_CLASSES - 1}", "Number the classes from 0."
        )
    return labels.astype(np.int64)


def check_classes(labels: Int64[np.ndarray, " n"]) -> None:
    """Refuse labels that tell no classes apart.

    Raises:
        DataError: One class only, or one image in every class.
    """
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    if len(counts) < 2:
        raise DataError(f"all {len(labels)} images are of one class ({labels[0]})", "Give two classes or more.")
    if counts.max() < 2:
        raise DataError("every class has one image", "Give two images or more of a class; ten are better.")


def name_classes(labels: Int64[np.ndarray, " n"], classes: Sequence[str] | None) -> tuple[str, ...]:
    """Names in label order.

    Raises:
        DataError: A label has no name.
    """
    if classes is None:
        return tuple(map(str, range(int(labels.max()) + 1)))
    names = tuple(map(str, classes))
    if labels.max() >= len(names):
        raise DataError(
            f"label {labels.max()} of image {labels.argmax()} has no name among {len(names)} classes",
            "Correct the labels, or the list of classes.",
        )
    return names
