"""Pixels by row number, wherever they lie: in memory, in files, in a Dataset."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped, UInt8
from PIL import Image
from torch import Tensor

from goldcut.errors import DataError
from goldcut.sources.body import Shape
from goldcut.sources.factory import first_line
from goldcut.sources.pictures import fit_picture, open_picture, picture_note

Rows = Int64[np.ndarray, " b"]
Pixels8 = UInt8[np.ndarray, "b h w c"]


class Pixels(ABC):
    """A number of images of one shape, read on demand.

    Attributes:
        shape: (C, H, W) of every image.
        note: What was done to them on the way in, in words; empty when nothing was.
    """

    shape: Shape
    note: str = ""

    @abstractmethod
    def read(self, rows: Rows) -> Pixels8:
        """The images of these rows, in their order.

        Raises:
            DataError: One of them cannot be used; it is named.
        """


class ArrayPixels(Pixels):
    """Images in memory.

    Args:
        images: (N, H, W, C).
        shape: (C, H, W) that the model receives; one channel is repeated onto several, a size is never changed.
    """

    def __init__(self, images: Pixels8, shape: Shape) -> None:
        self.shape = shape
        self.note = fit_note(images.shape[1:], shape)
        self._images = images

    def read(self, rows: Rows) -> Pixels8:
        images: Pixels8 = self._images[rows]
        return images if images.shape[3] == self.shape[0] else images.repeat(self.shape[0], axis=3)


class FilePixels(Pixels):
    """Image files, decoded when they are read; nothing is kept in memory.

    Args:
        paths: The files.
        shape: (C, H, W); other sizes are resized to cover it and centre-cropped.
        note: What else is to be said of them.
    """

    def __init__(self, paths: Sequence[Path], shape: Shape, note: str = "") -> None:
        self.shape = shape
        self.note = "; ".join(filter(None, [picture_note(shape), note]))
        self._paths = paths

    def read(self, rows: Rows) -> Pixels8:
        with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
            warnings.filterwarnings("ignore", module=r"PIL\.")  # odd metadata does no harm to the pixels
            return np.stack(list(pool.map(self._decode, (self._paths[row] for row in rows.tolist()))))

    def _decode(self, path: Path) -> UInt8[np.ndarray, "h w c"]:
        with open_picture(path) as picture:
            return fit_picture(picture, self.shape, str(path))


class DatasetPixels(Pixels):
    """The images of a Dataset, read when they are needed.

    Args:
        dataset: Gives (image, label) by row number; the image a PIL picture, a uint8 array (H, W[, C]), or a uint8
            tensor (C, H, W).
        shape: (C, H, W); pictures of other sizes are resized to cover it and centre-cropped, arrays are refused.
            None for that of the first image.
    """

    def __init__(self, dataset: Any, shape: Shape | None) -> None:
        self._dataset = dataset
        first, _ = self._fetch(0)
        if isinstance(first, Image.Image):
            self.shape = shape or (1 if first.mode in ("1", "L") else 3, first.height, first.width)
            self.note = picture_note(self.shape)
        else:
            height, width, channels = as_hwc(first, "0").shape
            self.shape = shape or (channels, height, width)
            self.note = fit_note((height, width, channels), self.shape)

    def read(self, rows: Rows) -> Pixels8:
        return np.stack([self.item(row)[0] for row in rows.tolist()])

    def item(self, row: int) -> tuple[UInt8[np.ndarray, "h w c"], Any]:
        """One image, and its label as the Dataset gives it.

        Raises:
            DataError: It cannot be read or used.
        """
        image, label = self._fetch(row)
        if isinstance(image, Image.Image):
            return fit_picture(image, self.shape, f"image {row}"), label
        pixels = as_hwc(image, str(row))
        fit_note(pixels.shape, self.shape)
        return np.broadcast_to(pixels, (*self.shape[1:], self.shape[0])), label

    def _fetch(self, row: int) -> tuple[Any, Any]:
        try:
            image, label = self._dataset[row]
        except Exception as error:
            raise DataError(
                f"the Dataset fails at item {row}: {first_line(error)}", "It must give (image, label)."
            ) from error
        return image, label


def as_hwc(image: Any, name: str) -> UInt8[np.ndarray, "h w c"]:
    """One array or tensor as (H, W, C).

    Raises:
        DataError: It is not uint8 or no image.
    """
    pixels = np.asarray(image)
    check_dtype(pixels)
    if isinstance(image, Tensor) and pixels.ndim == 3:
        return pixels.transpose(1, 2, 0)
    if pixels.ndim not in (2, 3):
        raise DataError(f"image {name} has shape {pixels.shape}, not (H, W) or (H, W, C)", "Return one image an item.")
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def check_dtype(pixels: Shaped[np.ndarray, "..."]) -> None:
    """Refuse what is not uint8, with the conversion that would make it so.

    Raises:
        DataError: Of another type.
    """
    if pixels.dtype == np.uint8:
        return
    cure = "Convert them to uint8 in 0..255 first."
    if pixels.dtype.kind == "f":
        cure = "Leave normalisation to the model and convert: (x * 255).round().astype('uint8') for x in [0, 1]."
    elif pixels.dtype.itemsize == 2:
        cure = "Scale them to 0..255 first, for the full 16-bit range (x // 257).astype('uint8')."
    raise DataError(f"images are {pixels.dtype} and uint8 is expected", cure)


def fit_note(came: tuple[int, ...], shape: Shape) -> str:
    """What is done to arrays of (H, W, C) so that a model of `shape` can take them, in words.

    Raises:
        DataError: They have another size, or channels that cannot be repeated.
    """
    height, width, channels = came
    if (height, width) == shape[1:] and channels == shape[0]:
        return ""
    if (height, width) == shape[1:] and channels == 1:
        return f"the gray channel was repeated onto {shape[0]} channels"
    raise DataError(
        f"images are {channels},{height},{width} and the model receives {','.join(map(str, shape))} (C,H,W)",
        f"Give --input {channels},{height},{width} if the model can take that, or convert the images first.",
    )
