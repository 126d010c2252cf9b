"""Substitutes for an edge half of unknown structure, image -> Z, generated from shapes by one rule.

A strided stack of residual blocks for maps and vectors, a patch embedding and attention for tokens: which of them
follows from Z, because who sees Z on the wire sees its shape.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from goldcut.networks.decoders import seeded_weights
from goldcut.networks.entries import Encoder, token_grid
from goldcut.networks.trunk import GROUPS, Grid, Residual
from goldcut.records import Kind

WIDTH = 32
"""Channels of the first grid; doubled at each step down."""

WIDEST = 128

POOLED: Grid = (4, 4)
"""Grid from which a vector is read."""

LAYERS = 2
"""Transformer layers in front of tokens."""

TOKEN_WIDTH = 64


def build_encoder(
    image_shape: tuple[int, int, int], z_shape: tuple[int, ...], kind: Kind, *, positive: bool, seed: int
) -> nn.Module:
    """A substitute edge half, its weights drawn from `seed`.

    Args:
        image_shape: (C, H, W) of the images.
        z_shape: Shape of Z per sample: (C, H, W), (T, D) or (D,).
        kind: Which of the three it is.
        positive: Whether Z has no negative values, so that the last thing is a ReLU.
        seed: Seed of the weights; the global generator is left as it was.

    Example:
        >>> encoder = build_encoder((3, 30, 30), (64, 8, 8), "map", positive=True, seed=0)
        >>> encoder(torch.zeros(2, 3, 30, 30)).shape
        torch.Size([2, 64, 8, 8])
    """
    with seeded_weights(seed):
        if kind == "map":
            encoder: nn.Module = MapEncoder(image_shape, z_shape)
        elif kind == "tokens":
            encoder = TokenEncoder(image_shape, z_shape)
        else:
            grid = MapEncoder(image_shape, (WIDEST, *POOLED))
            encoder = nn.Sequential(
                grid, nn.ReLU(), nn.Flatten(), nn.Linear(WIDEST * POOLED[0] * POOLED[1], z_shape[0])
            )
        return nn.Sequential(encoder, nn.ReLU()) if positive else encoder


class MapEncoder(nn.Module):
    """Steps of stride 2 while the grid is at least twice that of Z, a residual block on each, then the grid of Z.

    Args:
        image_shape: (C, H, W) of the images.
        z_shape: (C, H, W) of Z.
    """

    def __init__(self, image_shape: tuple[int, ...], z_shape: tuple[int, ...]) -> None:
        super().__init__()
        before, *size = image_shape
        channels, *grid = z_shape
        self.grid = (grid[0], grid[1])
        width, steps = WIDTH, list[nn.Module]()
        while not steps or min(size[0] // 2 - grid[0], size[1] // 2 - grid[1]) >= 0:
            stride = 2 if size[0] // 2 >= grid[0] and size[1] // 2 >= grid[1] else 1
            steps += [nn.Conv2d(before, width, 3, stride, padding=1), Residual(width)]
            size = [-(-side // stride) for side in size]
            before, width = width, min(2 * width, WIDEST)
        self.steps = nn.Sequential(*steps)
        self.finish = nn.GroupNorm(GROUPS, before)
        self.project = nn.Conv2d(before, channels, 3, padding=1)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b channels height width"]:
        hidden = self.steps(images - 0.5)
        if hidden.shape[2] < self.grid[0] or hidden.shape[3] < self.grid[1]:
            hidden = functional.interpolate(hidden, size=self.grid, mode="bilinear")
        elif hidden.shape[2:] != self.grid:
            hidden = functional.adaptive_avg_pool2d(hidden, self.grid)
        made: Tensor = self.project(functional.relu(self.finish(hidden)))
        return made


class TokenEncoder(nn.Module):
    """Patches with positions, leading extra tokens, and attention (Dosovitskiy et al.: An Image is Worth 16x16 Words).

    Tokens that form no grid of the image's proportions are all extra ones, which gather from a grid of patches.

    Args:
        image_shape: (C, H, W) of the images.
        z_shape: (T, D) of Z.
    """

    def __init__(self, image_shape: tuple[int, int, int], z_shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = image_shape
        tokens, features = z_shape
        self.tokens = tokens
        extra, self.grid = token_grid(tokens, (height, width)) or (tokens, POOLED)
        self.patch = (max(1, round(height / self.grid[0])), max(1, round(width / self.grid[1])))
        self.embed = nn.Conv2d(channels, TOKEN_WIDTH, self.patch, self.patch)
        patches = self.grid[0] * self.grid[1]
        self.extra = nn.Parameter(torch.randn(1, extra, TOKEN_WIDTH) / TOKEN_WIDTH**0.5)
        self.position = nn.Parameter(torch.randn(1, patches, TOKEN_WIDTH) / TOKEN_WIDTH**0.5)
        self.layers = nn.Sequential(*(Encoder(TOKEN_WIDTH, heads=2) for _ in range(LAYERS)), nn.LayerNorm(TOKEN_WIDTH))
        self.project = nn.Linear(TOKEN_WIDTH, features)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b t d"]:
        size = (self.grid[0] * self.patch[0], self.grid[1] * self.patch[1])
        if images.shape[2:] != size:
            images = functional.interpolate(images, size=size, mode="bilinear")
        patches = self.embed(images - 0.5).flatten(2).transpose(1, 2) + self.position
        x = torch.cat([self.extra.expand(len(images), -1, -1), patches], dim=1)
        made: Tensor = self.project(self.layers(x)[:, : self.tokens])
        return made
