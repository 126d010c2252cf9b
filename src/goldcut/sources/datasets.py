"""Labelled images from Datasets: torchvision's own, and a user's."""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from goldcut.errors import DataError
from goldcut.sources.body import Shape
from goldcut.sources.factory import first_line, suggest
from goldcut.sources.labelled import Images, Pack, hash_pixels
from goldcut.sources.labels import check_classes, check_labels, name_classes
from goldcut.sources.pixels import DatasetPixels

PROBED = 8
"""Items that are read twice, to find random augmentation."""

_FLAG = ({"train": True}, {"train": False})
_TEST = ({"split": "train"}, {"split": "test"})
_VAL = ({"split": "train"}, {"split": "val"})
_TRAINVAL = ({"split": "trainval"}, {"split": "test"})
DATASETS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "CIFAR10": _FLAG,
    "CIFAR100": _FLAG,
    "Country211": _TEST,
    "DTD": _TEST,
    "FGVCAircraft": _TRAINVAL,
    "FashionMNIST": _FLAG,
    "Flowers102": _TEST,
    "Food101": _TEST,
    "GTSRB": _TEST,
    "ImageNet": _VAL,
    "Imagenette": _VAL,
    "KMNIST": _FLAG,
    "MNIST": _FLAG,
    "OxfordIIITPet": _TRAINVAL,
    "PCAM": _TEST,
    "STL10": _TEST,
    "SVHN": _TEST,
    "USPS": _FLAG,
}
"""Data sets of torchvision with one label an image: the arguments of the attacker's part and of the scanned one."""


def read_torchvision(spec: str, place: str, shape: Shape | None, labelled: bool) -> Pack:
    """A data set of torchvision, "NAME[:ROOT]", that is on the disk under ROOT or data/; nothing is downloaded."""
    from torchvision import datasets

    name, _, root = place.partition(":")
    root = root or "data"
    if name not in DATASETS:
        raise DataError(f"no data set {name!r} of torchvision can be read", suggest(name, DATASETS))
    try:
        attacker, scanned = (getattr(datasets, name)(root, **arguments) for arguments in DATASETS[name])
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"{name} of torchvision is not under {root!r}: {first_line(error)}",
            f"Download it once, torchvision.datasets.{name}({root!r}, download=True), or name its folder, "
            f"torchvision:{name}:ROOT.",
        ) from error
    return read_two_datasets(spec, attacker, scanned, shape, labelled)


def read_two_datasets(spec: str, attacker: Any, scanned: Any, shape: Shape | None, labelled: bool) -> Pack:
    """The attacker's Dataset and the one that is scanned."""
    names = _names_of(scanned) or _names_of(attacker)
    train = read_dataset(spec, attacker, "train", shape, labelled=False, names=names)
    test = read_dataset(spec, scanned, "test", train.shape, labelled, names=names)
    return Pack(test, train)


def read_dataset(
    spec: str,
    dataset: Any,
    part: str,
    shape: Shape | None,
    labelled: bool,
    *,
    names: tuple[str, ...] | None = None,
) -> Images:
    """Pass once through a Dataset for labels and hashes; the pixels are read again when they are needed.

    Raises:
        DataError: It has no items by number, changes between two readings, or gives what cannot be used.
    """
    if not hasattr(dataset, "__len__") or len(dataset) == 0:
        raise DataError(f"{spec} is a Dataset without items or length", "Give it a length and items.")
    pixels = DatasetPixels(dataset, shape)
    labels, hashes = [], []
    for row in range(len(dataset)):
        image, label = pixels.item(row)
        labels.append(_as_number(label, row))
        hashes.append(hash_pixels(image))
        if row < PROBED and hash_pixels(pixels.item(row)[0]) != hashes[-1]:
            raise DataError(f"image {row} of {spec} changes when it is read again", "Leave random augmentation out.")
    numbers = check_labels(labels, len(dataset))
    if labelled:
        check_classes(numbers)
    classes = name_classes(numbers, names or _names_of(dataset))
    return Images(pixels, numbers, classes=classes, spec=spec, part=part, hashes=np.array(hashes, dtype="S32"))


def _names_of(dataset: Any) -> tuple[str, ...] | None:
    names = getattr(dataset, "classes", None)
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def _as_number(label: Any, row: int) -> int:
    try:
        return operator.index(label)
    except TypeError as error:
        raise DataError(
            f"label {label!r} of image {row} is no integer", "Let the Dataset give class numbers from 0."
        ) from error
