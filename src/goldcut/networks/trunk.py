"""The part of a decoder that is the same behind every cut: a ladder of three grids that paints an image.

Where decoders change with the cut, a jump in error may be the decoder's and not the network's. So the
ladder depends on the image alone; only the entry depends on Z.

The residual block is He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2016; the
last step by sub-pixel convolution is Shi et al.: Real-Time Single Image and Video Super-Resolution, 2016.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Grid = tuple[int, int]

GROUPS = 8
"""Groups of the group norm; widths are multiples of it."""

DARKEST = 0.02
"""Least distance of a start from black and white, where the sigmoid has no slope."""


def ladder_grids(image_shape: tuple[int, int, int]) -> tuple[Grid, Grid, Grid]:
    """Grids of the three rungs, from coarse to fine: an eighth, a quarter and a half of the image, rounded up.

    Example:
        >>> ladder_grids((3, 32, 32))
        ((4, 4), (8, 8), (16, 16))
        >>> ladder_grids((1, 28, 28))
        ((4, 4), (7, 7), (14, 14))
    """
    _, height, width = image_shape
    eighth, quarter, half = ((-(-height // part), -(-width // part)) for part in (8, 4, 2))
    return eighth, quarter, half


def ladder_widths(width: int) -> tuple[int, int, int]:
    """Channels of the three rungs: a convolution costs the same on each of them."""
    return 4 * width, 2 * width, width


class Residual(nn.Module):
    """Two 3x3 convolutions with group norm beside a direct path."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(GROUPS, channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.GroupNorm(GROUPS, channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        changed: Tensor = self.body(x)
        return x + changed


class Trunk(nn.Module):
    """Three grids of residual blocks, each fed by an entry, and an image at the end.

    Args:
        image_shape: (C, H, W) of the image that is painted.
        width: Channels of the finest rung, a multiple of 8.
        blocks: Residual blocks per rung.
    """

    def __init__(self, image_shape: tuple[int, int, int], width: int, blocks: int) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.grids = ladder_grids(image_shape)
        self.widths = ladder_widths(width)
        self.position = nn.Parameter(torch.zeros(1, self.widths[0], *self.grids[0]))
        self.rungs = nn.ModuleList(
            nn.Sequential(*(Residual(channels) for _ in range(blocks))) for channels in self.widths
        )
        self.steps = nn.ModuleList(nn.Conv2d(self.widths[rung], self.widths[rung + 1], 1) for rung in range(2))
        self.finish = nn.GroupNorm(GROUPS, width)
        self.paint = nn.Conv2d(width, 4 * image_shape[0], 3, padding=1, bias=False)
        self.base = nn.Parameter(torch.zeros(1, *image_shape))
        # From a loud start a sigmoid runs into saturation on dark images and never comes back: all pixels black.
        nn.init.zeros_(self.paint.weight)

    def start_at(self, image: Float[Tensor, "c h w"]) -> None:
        """Let an untrained trunk paint this image whatever it is fed."""
        with torch.no_grad():
            self.base.copy_(image.clamp(DARKEST, 1 - DARKEST).logit())

    def forward(self, entries: Sequence[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b channels height width"]:
        """Images in (0, 1) from one entry per rung, coarse to fine."""
        hidden = self.rungs[0](entries[0] + self.position)
        for rung in (1, 2):
            wider = functional.interpolate(self.steps[rung - 1](hidden), size=self.grids[rung], mode="bilinear")
            hidden = self.rungs[rung](wider + entries[rung])
        _, height, width = self.image_shape
        painted = functional.pixel_shuffle(self.paint(functional.relu(self.finish(hidden))), 2)
        return torch.sigmoid(painted[..., :height, :width] + self.base)
