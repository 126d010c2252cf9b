"""The paper's own decoder: blocks of transposed convolution that double the grid of Z until it is the image's.

Yang et al.: Neural Network Inversion in Adversarial Setting via Background Knowledge Alignment, 2019; Liu et al.:
Partitioning for Intrinsic Model Inversion Resistance in Collaborative Inference, 2026. Their scripts write one network
for each block number; here one rule makes them from the shapes. For Z of 512 x 4 x 4 and an image of 64 x 64 it gives
theirs: 512 - 256 - 128 - 64 - 64 channels, and 512 x 4 x 4 first where Z is a vector.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from goldcut.networks.attention import ATTENTIONS
from goldcut.networks.decoders import seeded_weights
from goldcut.networks.enrichment import ENRICHMENTS, Enrichment
from goldcut.networks.entries import token_grid
from goldcut.networks.trunk import DARKEST
from goldcut.records import Kind

WIDTH = 64
"""Channels at the image's grid and at half of it in the authors' scripts (`ngf`); doubled with each halving."""

VECTOR_GRID = 4
"""Side of the grid that a vector is spread to first."""

REVERSED = "reversed-residual"
ENHANCEMENTS: tuple[str, ...] = ("none", *ATTENTIONS, REVERSED)
"""What may stand between the blocks of the plain decoder, or in place of them."""


class Block(nn.Sequential):
    """Transposed convolution, batch norm, activation: 4x4 with stride 2, or 3x3 where the grid stays."""

    def __init__(self, before: int, after: int, *, doubles: bool, activation: nn.Module) -> None:
        deconvolution = (
            nn.ConvTranspose2d(before, after, 4, 2, 1) if doubles else nn.ConvTranspose2d(before, after, 3, 1, 1)
        )
        super().__init__(deconvolution, nn.BatchNorm2d(after), activation)


class ReversedResidual(nn.Module):
    """The residual block of IR-152 turned round: batch norm, 3x3, PReLU, deconvolution, batch norm, and a shortcut."""

    def __init__(self, before: int, after: int, *, doubles: bool) -> None:
        super().__init__()
        kernel, stride = (4, 2) if doubles else (3, 1)
        self.body = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.ConvTranspose2d(before, after, 3, 1, 1, bias=False),
            nn.PReLU(after),
            nn.ConvTranspose2d(after, after, kernel, stride, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = (
            nn.ConvTranspose2d(before, after, kernel, stride, 1, bias=False)
            if doubles
            else nn.Sequential(nn.ConvTranspose2d(before, after, 1, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        changed, direct = self.body(x), self.shortcut(x)
        both: Tensor = changed + direct
        return both


class DeconvolutionDecoder(nn.Module):
    """Z as a map, enriched, doubled until it is an image.

    Attributes:
        z_shape: Shape of Z per sample.
        kind: What its axes mean.
        image_shape: (C, H, W) of the images.
    """

    def __init__(
        self,
        z_shape: tuple[int, ...],
        kind: Kind,
        image_shape: tuple[int, int, int],
        enhancement: str,
        features: str,
        width: int,
    ) -> None:
        super().__init__()
        self.z_shape, self.kind, self.image_shape = z_shape, kind, image_shape
        channels, height, grid_width = as_map(torch.empty(1, *z_shape, device="meta"), kind, image_shape).shape[1:]
        self.features: Enrichment = ENRICHMENTS[features](channels)
        channels = self.features.channels
        blocks: list[nn.Module] = []
        if (height, grid_width) == (1, 1):
            height = grid_width = min(VECTOR_GRID, *image_shape[1:])
            after = width_at(halvings((height, grid_width), image_shape), width)
            blocks += [nn.ConvTranspose2d(channels, after, height), nn.BatchNorm2d(after), nn.Tanh()]
            channels = after
        left = halvings((height, grid_width), image_shape)
        self.block_of_z = 2**left
        for place, doubles in enumerate([True] * left or [False]):
            left = left - 1 if doubles else 0
            after = width_at(left, width)
            if enhancement == REVERSED:
                blocks.append(ReversedResidual(channels, after, doubles=doubles))
                blocks += [ReversedResidual(after, after, doubles=False)] * bool(left)
            else:
                activation = nn.PReLU() if blocks else nn.Tanh()
                blocks.append(Block(channels, after, doubles=doubles, activation=activation))
                # Weak attention at a shallow cut, which has one or two blocks, and strong at a deep one: it stands
                # behind every block but the last, whose grid is the image's and has the most positions.
                if enhancement in ATTENTIONS and (left or place == 0):
                    blocks.append(ATTENTIONS[enhancement](after))
            channels = after
        self.blocks = nn.Sequential(*blocks)
        self.paint = nn.ConvTranspose2d(channels, image_shape[0], 3, 1, 1, bias=False)
        self.base: Tensor
        self.register_buffer("base", torch.zeros(image_shape))

    def start_at(self, image: Float[Tensor, "c h w"]) -> None:
        """Let an untrained decoder paint this image whatever it is fed, and learn what to add to it.

        The scripts start at gray. On dark images that ends in black: none of the enhanced decoders, and hardly the
        plain one, leaves it within the first steps.
        """
        self.base.copy_(image.clamp(DARKEST, 1 - DARKEST).logit())
        nn.init.zeros_(self.paint.weight)

    def forward(self, z: Float[Tensor, "b ..."], noise: torch.Generator | None = None) -> Float[Tensor, "b c h w"]:
        """Images in (0, 1).

        Args:
            z: Z.
            noise: Where dropout draws from; without it nothing is dropped.
        """
        hidden = self.blocks(self.features(as_map(z, self.kind, self.image_shape), noise))
        size = self.image_shape[1:]
        over = max(have - want for have, want in zip(hidden.shape[2:], size, strict=True))
        if over < self.block_of_z:  # a strided layer rounds its grid up: what hangs over is no part of the image
            hidden = hidden[..., : size[0], : size[1]]
        if hidden.shape[2:] != size:
            hidden = functional.adaptive_avg_pool2d(hidden, size)
        return torch.sigmoid(self.paint(hidden) + self.base)


def halvings(grid: tuple[int, int], image_shape: tuple[int, int, int]) -> int:
    """How often a grid has to be doubled until it covers the image.

    Example:
        >>> halvings((4, 4), (3, 64, 64)), halvings((7, 7), (1, 28, 28)), halvings((40, 40), (3, 32, 32))
        (4, 2, 0)
    """
    return max(0, *(math.ceil(math.log2(want / have)) for want, have in zip(image_shape[1:], grid, strict=True)))


def width_at(distance: int, width: int) -> int:
    """Channels of a grid that is still to be doubled so many times.

    Example:
        >>> [width_at(distance, 64) for distance in (4, 3, 2, 1, 0)]
        [512, 256, 128, 64, 64]
    """
    return int(width * 2 ** max(0, distance - 1))


def as_map(z: Float[Tensor, "b ..."], kind: Kind, image_shape: tuple[int, int, int]) -> Float[Tensor, "b c h w"]:
    """Z on a grid: a vector is one pixel; tokens keep their positions, each with the leading extra tokens beside it.

    Tokens that lie on no grid are one pixel of all their features, as in the authors' scripts.
    """
    if kind == "map":
        return z
    found = token_grid(z.shape[1], image_shape[1:]) if kind == "tokens" else None
    if found is None:
        return z.reshape(len(z), -1, 1, 1)
    extra, grid = found
    patches = z[:, extra:].transpose(1, 2).reshape(len(z), -1, *grid)
    leading = z[:, :extra].flatten(1)[:, :, None, None].expand(-1, -1, *grid)
    return torch.cat([patches, leading], 1)


def build_deconvolution(
    z_shape: tuple[int, ...],
    kind: Kind,
    image_shape: tuple[int, int, int],
    *,
    enhancement: str = "none",
    features: str = "none",
    width: int = WIDTH,
    seed: int,
) -> DeconvolutionDecoder:
    """The paper's decoder for a cut, its weights drawn from `seed`.

    Args:
        z_shape: Shape of Z per sample: (C, H, W), (T, D) or (D,).
        kind: Which of the three it is.
        image_shape: (C, H, W) of the images.
        enhancement: One of ENHANCEMENTS.
        features: One of ENRICHMENTS.
        width: Channels at the image's grid.
        seed: Seed of the initial weights; the global generator is left as it was.

    Example:
        >>> decoder = build_deconvolution((64, 8, 8), "map", (3, 30, 30), enhancement="se", seed=0)
        >>> decoder(torch.zeros(2, 64, 8, 8)).shape
        torch.Size([2, 3, 30, 30])
    """
    with seeded_weights(seed):
        return DeconvolutionDecoder(z_shape, kind, image_shape, enhancement, features, width)
