"""What else is known of images beside their class: named attributes, such as who is on them or whether one smiles."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from goldcut.errors import DataError
from goldcut.records import LABEL
from goldcut.sources.labels import MOST_CLASSES

Attributes = Mapping[str, Int64[np.ndarray, " n"]]
"""Name of an attribute -> its value for each image, an integer from 0."""


def check_attributes(attributes: Mapping[str, Any], images: int) -> Attributes:
    """Attributes as int64, one value an image.

    Raises:
        DataError: A name that means the class, values that are no integers from 0, or not one an image.

    Example:
        >>> check_attributes({"smiles": [True, False]}, images=2)
        {'smiles': array([1, 0])}
    """
    return {name: _check_values(str(name), np.asarray(values), images) for name, values in attributes.items()}


def _check_values(name: str, values: np.ndarray[Any, Any], images: int) -> Int64[np.ndarray, " n"]:
    if name == LABEL:
        raise DataError(f"an attribute is called {LABEL!r}, which is the class", "Give it another name.")
    if values.shape != (images,):
        raise DataError(
            f"attribute {name!r} has shape {values.shape} and there are {images} images", "Give one value an image."
        )
    if values.dtype.kind not in "iub":
        raise DataError(
            f"attribute {name!r} is {values.dtype} and integers 0, 1, ... are expected",
            "Number its values: np.unique(a, return_inverse=True)[1].",
        )
    numbers = values.astype(np.int64)
    if numbers.min() < 0 or numbers.max() >= MOST_CLASSES:
        row = numbers.argmin() if numbers.min() < 0 else numbers.argmax()
        raise DataError(
            f"attribute {name!r} is {numbers[row]} for image {row}, outside 0..{MOST_CLASSES - 1}",
            "Number its values from 0.",
        )
    return numbers


def name_columns(columns: Any, names: Sequence[Any] | None) -> dict[str, Any]:
    """Attributes that came as one array (n, k), or (n,) for a single one, by their k names.

    Raises:
        DataError: Not as many different names as columns.
    """
    array = np.asarray(columns)
    array = array[:, None] if array.ndim == 1 else array
    named = [] if names is None else [str(name) for name in np.atleast_1d(np.asarray(names))]
    if array.ndim != 2 or len(named) != array.shape[1] or len(set(named)) != len(named):
        raise DataError(
            f"the attributes have shape {np.asarray(columns).shape} and the names {', '.join(named) or 'none'}",
            "Give an array (images, attributes), and as many different names in `attributes`.",
        )
    return {name: array[:, turn] for turn, name in enumerate(named)}
