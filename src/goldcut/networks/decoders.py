"""Decoders Z -> image, generated from shapes by one rule.

The trunk depends on the image and the size only; the entry on the shape and the kind of Z. So two
neighbouring cuts differ in the first projection and in nothing else.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from goldcut.networks.entries import MapEntry, TokenEntry
from goldcut.networks.trunk import Trunk, ladder_grids, ladder_widths
from goldcut.records import Kind


@dataclass(frozen=True)
class Size:
    """How large a decoder is.

    Attributes:
        width: Channels of the finest rung.
        blocks: Residual blocks per rung.
        layers: Transformer layers in front, for tokens.
    """

    width: int
    blocks: int
    layers: int


SIZES: dict[str, Size] = {
    "XS": Size(width=16, blocks=1, layers=1),
    "S": Size(width=32, blocks=1, layers=1),
    "M": Size(width=48, blocks=2, layers=2),
    "L": Size(width=64, blocks=3, layers=3),
}
"""Sizes by name: S, M and L take about 17, 66 and 174 million multiply-accumulates for an image of 32 x 32. XS is for a
first look in minutes: a third of the time of S, and weaker."""


_SEEDING = threading.Lock()
"""Held while weights are drawn: PyTorch draws them from one generator for all threads."""


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Modules built inside draw their weights from a seed; the global generator is left as it was."""
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class ImageDecoder(nn.Module):
    """An entry for Z, and the trunk that paints the image."""

    def __init__(self, entry: nn.Module, trunk: Trunk) -> None:
        super().__init__()
        self.entry = entry
        self.trunk = trunk

    def forward(self, z: Float[Tensor, "b ..."]) -> Float[Tensor, "b c h w"]:
        image: Tensor = self.trunk(self.entry(z))
        return image


def build_decoder(
    z_shape: tuple[int, ...], kind: Kind, image_shape: tuple[int, int, int], size: Size, *, seed: int
) -> ImageDecoder:
    """A decoder from Z to images in (0, 1), its weights drawn from `seed`.

    Its convolutions keep the channels last in memory: on a CPU a training step then takes 5 to 12 % less.

    Args:
        z_shape: Shape of Z per sample: (C, H, W), (T, D) or (D,).
        kind: Which of the three it is.
        image_shape: (C, H, W) of the images; any channel count, any size from 2 pixels on.
        size: Width and depth; see SIZES.
        seed: Seed of the initial weights; the global generator is left as it was.

    Example:
        >>> decoder = build_decoder((64, 8, 8), "map", (3, 30, 30), SIZES["S"], seed=0)
        >>> decoder(torch.zeros(2, 64, 8, 8)).shape
        torch.Size([2, 3, 30, 30])
    """
    grids, widths = ladder_grids(image_shape), ladder_widths(size.width)
    with seeded_weights(seed):
        trunk = Trunk(image_shape, size.width, size.blocks)
        if kind == "tokens":
            tokens, features = z_shape
            decoder = ImageDecoder(TokenEntry((tokens, features), widths, grids, size.layers), trunk)
        else:
            channels, height, width = z_shape if kind == "map" else (z_shape[0], 1, 1)
            decoder = ImageDecoder(MapEntry((channels, height, width), widths, grids), trunk)
    return decoder.to(memory_format=torch.channels_last)
