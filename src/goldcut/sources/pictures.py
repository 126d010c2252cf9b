"""Picture files as arrays of the size that a model receives, with Pillow and numpy alone: a device uses it too."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from goldcut.errors import DataError
from goldcut.sources.factory import first_line

Shape = tuple[int, int, int]
"""(C, H, W)."""


@contextlib.contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """An image file; whatever its decoder raises names the file.

    Raises:
        DataError: It is no image, or a corrupt one.
    """
    try:
        with Image.open(path) as picture:
            yield picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is no readable image: {first_line(error)}", "Replace or remove the file.") from error


def picture_note(shape: Shape) -> str:
    """What is done to pictures so that a model of `shape` can take them, in words.

    Raises:
        DataError: A model of neither 1 nor 3 channels.
    """
    if shape[0] not in (1, 3):
        raise DataError(f"pictures have 1 or 3 channels and the model receives {shape[0]}", "Give arrays instead.")
    colour = "converted to gray" if shape[0] == 1 else "converted to RGB"
    return f"{colour}, resized to cover {shape[2]} x {shape[1]} (bilinear) and centre-cropped, where they differed"


def fit_picture(picture: Image.Image, shape: Shape, name: str) -> UInt8[np.ndarray, "h w c"]:
    """A picture of any size as an array: the shorter side resized, the rest cropped around the centre.

    Raises:
        DataError: More than 8 bits a channel.
    """
    channels, height, width = shape
    if picture.mode.startswith(("I", "F")):
        raise DataError(f"{name} has more than 8 bits a channel (mode {picture.mode})", "Convert it to 8 bits first.")
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = ImageOps.fit(picture, (width, height), method=Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(height, width, channels)
