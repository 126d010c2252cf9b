"""Labelled images with random access, and their hashes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor

from goldcut.errors import DataError
from goldcut.records import DataRecord
from goldcut.sources.attributes import Attributes, check_attributes
from goldcut.sources.body import Shape
from goldcut.sources.labels import check_classes, check_labels, name_classes
from goldcut.sources.pixels import ArrayPixels, Pixels, Pixels8, check_dtype

Index = Int64[np.ndarray, " b"] | Sequence[int]
Hashes = Shaped[np.ndarray, " n"]

STREAMED = 256
"""Images read together where all of them are passed through."""


class Images:
    """Labelled images in [0, 1], held as uint8 and read batch by batch.

    Args:
        pixels: Where the images lie.
        labels: One integer in 0..len(classes)-1 an image.
        classes: Names in label order.
        spec: The DATA argument that they came from.
        part: Which part of it.
        rows: The row in `pixels` of each image; all rows in order when None.
        hashes: Known hashes, in the order of the images.
        attributes: What else is known of each image.
    """

    def __init__(
        self,
        pixels: Pixels,
        labels: Int64[np.ndarray, " n"],
        *,
        classes: tuple[str, ...],
        spec: str,
        part: str,
        rows: Int64[np.ndarray, " n"] | None = None,
        hashes: Hashes | None = None,
        attributes: Attributes | None = None,
    ) -> None:
        self.labels = labels
        self.classes = classes
        self.spec = spec
        self.part = part
        self.attributes: Attributes = {} if attributes is None else attributes
        self._pixels = pixels
        self._rows = np.arange(len(labels)) if rows is None else rows
        self._hashes = hashes

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Images({self.spec!r}, part={self.part!r}, images={len(self)}, shape={self.shape})"

    @property
    def shape(self) -> Shape:
        """(C, H, W) of every image."""
        return self._pixels.shape

    @property
    def record(self) -> DataRecord:
        """What these images are, with a hash over all of them and their labels in order.

        Attributes are no part of it: they may be added later, for the probes, and change no other figure.

        Raises:
            DataError: An image cannot be read; it is named.
        """
        digest = hashlib.sha256(self.hashes().tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return DataRecord(
            spec=self.spec,
            part=self.part,
            images=len(self),
            shape=self.shape,
            classes=self.classes,
            sha256=digest.hexdigest(),
            note=self._pixels.note,
        )

    def pixels(self, index: Index) -> Pixels8:
        """Images as they are held: uint8, channels last."""
        return self._pixels.read(self._rows[np.asarray(index, dtype=np.int64)])

    def batch(self, index: Index) -> Float[Tensor, "b c h w"]:
        """Images as a model takes them: float32 in [0, 1], channels first."""
        pixels = torch.from_numpy(self.pixels(index)).permute(0, 3, 1, 2)
        return pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(255)

    def hashes(self) -> Hashes:
        """One hash (32 hexadecimal bytes, dtype S32) an image, over its uint8 pixels; read once, then remembered.

        Raises:
            DataError: An image cannot be read; it is named.
        """
        if self._hashes is None:
            parts = (range(start, min(start + STREAMED, len(self))) for start in range(0, len(self), STREAMED))
            self._hashes = np.array([hash_pixels(image) for part in parts for image in self.pixels(part)], dtype="S32")
        return self._hashes

    def subset(self, index: Index, part: str) -> "Images":
        """Some of the images, in the order of the index, under the name of another part."""
        chosen = np.asarray(index, dtype=np.int64)
        return Images(
            self._pixels,
            self.labels[chosen],
            classes=self.classes,
            spec=self.spec,
            part=part,
            rows=self._rows[chosen],
            hashes=None if self._hashes is None else self._hashes[chosen],
            attributes={name: values[chosen] for name, values in self.attributes.items()},
        )


@dataclass(frozen=True)
class Pack:
    """What a DATA spec holds.

    Attributes:
        scanned: The images that are scanned and hold the victims.
        attacker: The other part of a data set that comes in two; None when every image is scanned.
    """

    scanned: Images
    attacker: Images | None = None


def from_arrays(
    x: Any,
    y: Any,
    *,
    spec: str = "python:arrays",
    part: str = "all",
    classes: Sequence[str] | None = None,
    shape: Shape | None = None,
    labelled: bool = True,
    attributes: Mapping[str, Any] | None = None,
) -> Images:
    """Images from arrays.

    Args:
        x: uint8, (N, H, W) or (N, H, W, C).
        y: Integers from 0, (N,) or (N, 1).
        spec: Where they come from, for the record; a run on "python:..." images cannot be reopened by name.
        part: Which part of it they are.
        classes: Names in label order; the numbers themselves otherwise.
        shape: (C, H, W) that the model receives; that of x when None.
        labelled: Whether classes are to be told apart, so that there must be two with several images.
        attributes: What else is known of each image, integers from 0, (N,), by name; the attack `attributes` tries
            to infer it from Z.

    Raises:
        DataError: Pixels, labels or attributes that cannot be used.

    Example:
        >>> images = from_arrays(np.zeros((4, 8, 8), "uint8"), [0, 1, 0, 1], spec="zeros")
        >>> images.shape, len(images), images.batch([0, 3]).shape
        ((1, 8, 8), 4, torch.Size([2, 1, 8, 8]))
    """
    images = as_batch(x)
    labels = check_labels(y, len(images))
    names = name_classes(labels, classes)
    if labelled:
        check_classes(labels)
    _, height, width, channels = images.shape
    return Images(
        ArrayPixels(images, shape or (channels, height, width)),
        labels,
        classes=names,
        spec=spec,
        part=part,
        attributes=check_attributes(attributes or {}, len(images)),
    )


def as_batch(x: Any) -> Pixels8:
    """Images as one array with channels last.

    Raises:
        DataError: They are not uint8, or of another layout.
    """
    images = np.asarray(x)
    check_dtype(images)
    if images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise DataError(f"images have shape {images.shape}, not (N, H, W) or (N, H, W, C)", "Stack the images.")
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        raise DataError(f"images have shape {images.shape}, channels first", "Move them last: x.transpose(0, 2, 3, 1).")
    return images if images.ndim == 4 else images[..., None]


def hash_pixels(image: UInt8[np.ndarray, "..."]) -> bytes:
    """Thirty-two hexadecimal bytes that two images share only if all their pixels agree."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).hexdigest().encode()
