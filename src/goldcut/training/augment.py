"""Random changes of images that keep their class, drawn anew at every step."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

Images = Float[Tensor, "b c h w"]

REACH = 8
"""A shift moves an image by at most one of this many parts of its size, either way."""


def unchanged(images: Images, noise: torch.Generator) -> Images:
    """The images as they are."""
    return images


def flip(images: Images, noise: torch.Generator) -> Images:
    """Left and right exchanged in every second image."""
    chosen = torch.rand(len(images), generator=noise) < 0.5
    return torch.where(chosen[:, None, None, None].to(images.device), images.flip(3), images)


def shift(images: Images, noise: torch.Generator) -> Images:
    """Each image moved by up to an eighth of its size; what comes in is mirrored at the border."""
    height, width = images.shape[2:]
    down, right = max(1, height // REACH), max(1, width // REACH)
    padded = pad(images, (right, right, down, down), mode="reflect")
    tops = torch.randint(2 * down + 1, (len(images),), generator=noise).tolist()
    lefts = torch.randint(2 * right + 1, (len(images),), generator=noise).tolist()
    moved = [
        image[:, top : top + height, left : left + width] for image, top, left in zip(padded, tops, lefts, strict=True)
    ]
    return torch.stack(moved)


def shift_flip(images: Images, noise: torch.Generator) -> Images:
    """Both."""
    return flip(shift(images, noise), noise)


AUGMENTATIONS: dict[str, Callable[[Images, torch.Generator], Images]] = {
    "none": unchanged,
    "flip": flip,
    "shift": shift,
    "shift+flip": shift_flip,
}
"""By name."""
