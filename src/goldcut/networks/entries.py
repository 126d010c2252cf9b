"""The part of a decoder that depends on Z: how maps, tokens and vectors reach the three grids of the trunk.

A vector is a map of one pixel, and tokens become a map once they have talked to each other, so one
rule covers all: a 1x1 convolution per rung, with as many output channels as it takes to fill the rung's
grid position by position. Every rung sees Z directly, which makes the linear inverse a special case.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from goldcut.networks.trunk import Grid

WIDEST = 512
"""Channels beyond which Z is first projected, once for all rungs."""

FINEST_BLOCK = 4
"""Largest block of pixels of Z that is stacked into channels; larger maps are averaged down to it first."""


class RungEntry(nn.Module):
    """Brings a map to one rung: stacked where it is finer than the rung, spread where it is coarser.

    Args:
        channels: Channels of the map.
        grid: Its height and width.
        width: Channels of the rung.
        rung: Height and width of the rung.
        stack: Whether pixels of a finer map are stacked into channels (else averaged).
    """

    def __init__(self, channels: int, grid: Grid, width: int, rung: Grid, *, stack: bool) -> None:
        super().__init__()
        self.rung = rung
        largest = FINEST_BLOCK if stack else 1
        self.fold = max(1, min(largest, grid[0] // rung[0], grid[1] // rung[1]))
        self.spread = max(1, -(-rung[0] // grid[0]), -(-rung[1] // grid[1]))
        self.finer = grid[0] > rung[0] or grid[1] > rung[1]
        self.project = nn.Conv2d(channels * self.fold**2, width * self.spread**2, 1)

    def forward(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b width height_rung width_rung"]:
        if self.finer:
            folded = (self.rung[0] * self.fold, self.rung[1] * self.fold)
            z = z if z.shape[-2:] == folded else functional.adaptive_avg_pool2d(z, folded)
            return self._spread(self.project(functional.pixel_unshuffle(z, self.fold)))
        return self._spread(self.project(z))

    def _spread(self, x: Tensor) -> Tensor:
        x = functional.pixel_shuffle(x, self.spread) if self.spread > 1 else x
        return x if x.shape[-2:] == self.rung else functional.adaptive_avg_pool2d(x, self.rung)


class MapEntry(nn.Module):
    """Entries for a map (C, H, W); a vector (D,) comes as the map (D, 1, 1).

    Args:
        shape: (C, H, W) of Z.
        widths: Channels of the three rungs.
        grids: Grids of the three rungs.
    """

    def __init__(self, shape: tuple[int, int, int], widths: tuple[int, ...], grids: tuple[Grid, ...]) -> None:
        super().__init__()
        self.shape = shape
        channels, *grid = shape
        self.narrow = nn.Conv2d(channels, WIDEST, 1) if channels > WIDEST else nn.Identity()
        channels = min(channels, WIDEST)
        self.rungs = nn.ModuleList(
            RungEntry(channels, (grid[0], grid[1]), width, rung, stack=rung == grids[-1])
            for width, rung in zip(widths, grids, strict=True)
        )

    def forward(self, z: Float[Tensor, "b ..."]) -> list[Tensor]:
        z = self.narrow(z.reshape(-1, *self.shape))
        return [rung(z) for rung in self.rungs]


class Encoder(nn.Module):
    """One pre-norm transformer layer (Vaswani et al.: Attention Is All You Need, 2017) without dropout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.attend = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        batch, tokens, width = x.shape
        parts = self.attend(self.norm(x)).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        x = x + self.join(seen.transpose(1, 2).reshape(batch, tokens, width))
        mixed: Tensor = self.mix(x)
        return x + mixed


class TokenEntry(nn.Module):
    """Entries for tokens (T, D): positions, attention, then the map that the tokens lie on.

    The grid is guessed: T tokens, or T less 1, 2 or 5 leading ones (class, distillation, registers), that
    tile a rectangle of the image's proportions. Where there is no such grid, learned queries on the
    coarsest rung gather from all tokens.

    Args:
        shape: (T, D) of Z.
        widths: Channels of the three rungs.
        grids: Grids of the three rungs.
        layers: Transformer layers.
    """

    def __init__(self, shape: tuple[int, int], widths: tuple[int, ...], grids: tuple[Grid, ...], layers: int) -> None:
        super().__init__()
        self.shape = shape
        tokens, features = shape
        width = widths[1]
        found = token_grid(tokens, grids[-1])
        self.extra, self.grid = found if found else (0, grids[0])
        self.queries = None if found else nn.Parameter(torch.randn(1, grids[0][0] * grids[0][1], width) / width**0.5)
        self.project = nn.Linear(features, width)
        self.position = nn.Parameter(torch.randn(1, tokens, width) / width**0.5)
        self.layers = nn.Sequential(*(Encoder(width, heads=max(1, width // 32)) for _ in range(layers)))
        raw = features if found else 0
        self.entry = MapEntry((width + raw, *self.grid), widths, grids)

    def forward(self, z: Float[Tensor, "b ..."]) -> list[Tensor]:
        z = z.reshape(-1, *self.shape)
        x = self.project(z) + self.position
        if self.queries is not None:
            x = torch.cat([x, self.queries.expand(len(x), -1, -1)], dim=1)
            return self._enter(self.layers(x)[:, -self.queries.shape[1] :])
        # The tokens themselves go along: a layer of attention must not stand between a patch and its pixels.
        return self._enter(torch.cat([self.layers(x), z], dim=2)[:, self.extra :])

    def _enter(self, tokens: Float[Tensor, "b t d"]) -> list[Tensor]:
        entered: list[Tensor] = self.entry(tokens.transpose(1, 2).reshape(len(tokens), -1, *self.grid))
        return entered


def token_grid(tokens: int, proportions: Grid) -> tuple[int, Grid] | None:
    """Leading extra tokens and the grid of the others; None where no grid of these proportions fits.

    Example:
        >>> token_grid(65, (16, 16)), token_grid(50, (14, 14)), token_grid(11, (16, 16))
        ((1, (8, 8)), (1, (7, 7)), (2, (3, 3)))
    """
    for extra in (0, 1, 2, 5):
        height = round(((tokens - extra) * proportions[0] / proportions[1]) ** 0.5) if tokens > extra else 0
        if height and (tokens - extra) % height == 0:
            width = (tokens - extra) // height
            if abs(width * proportions[0] - height * proportions[1]) < max(proportions):
                return extra, (height, width)
    return None
