"""Smooth random images: nobody's pictures, and unlike enough that a wrong half shows."""

import numpy as np
from jaxtyping import Float, UInt8

COARSE = 4
"""Squares along a side whose colour is drawn."""


def synthetic_images(count: int, shape: tuple[int, int, int], seed: int = 0) -> UInt8[np.ndarray, "n c h w"]:
    """Images with a coarse pattern of random colours and fine noise on it.

    Example:
        >>> synthetic_images(2, (3, 9, 8)).shape
        (2, 3, 9, 8)
    """
    channels, height, width = shape
    generator = np.random.default_rng(seed)
    coarse = generator.random((count, channels, COARSE, COARSE))
    rows, columns = np.arange(height) * COARSE // height, np.arange(width) * COARSE // width
    fine = generator.normal(0, 0.05, (count, *shape))
    images = coarse[:, :, rows][:, :, :, columns] + fine
    return (np.clip(images, 0, 1) * 255).astype(np.uint8)


def as_floats(images: UInt8[np.ndarray, "n c h w"]) -> Float[np.ndarray, "n c h w"]:
    """Images in [0, 1] as the edge half takes them."""
    return images.astype(np.float32) / np.float32(255)
