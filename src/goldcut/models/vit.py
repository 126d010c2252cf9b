"""The vision transformer of the paper: 64 pixels, patches of 4, width 128, six blocks of eight heads.

A. Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021); sizes as in R. Liu et al., "Partitioning for Intrinsic
Model Inversion Resistance in Collaborative Inference" (ICML 2026).
"""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from goldcut.errors import ModelError


class Block(nn.Module):
    """Attention, then two layers for each token alone, each after a norm and around a shortcut."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.mlp = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(dim, 4 * dim),
                act=nn.GELU(),
                drop1=nn.Dropout(dropout),
                fc2=nn.Linear(4 * dim, dim),
                drop2=nn.Dropout(dropout),
            )
        )

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        """The tokens after the block."""
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        total: Tensor = x + self.mlp(self.norm2(x))
        return total


class ViT(nn.Module):
    """Patches, a class token, positions, blocks, a head on the class token.

    Args:
        channels: Channels of the images.
        classes: Number of logits.
        size: Height and width of the images, multiples of the patch.
        patch: Height and width of a patch.
        dim: Numbers a token.
        depth: Blocks.
        heads: Heads of attention.
        dropout: Share that is dropped while training.

    Example:
        >>> ViT(dim=16, depth=2, heads=2).eval()(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 10,
        size: tuple[int, int] = (64, 64),
        patch: int = 4,
        dim: int = 128,
        depth: int = 6,
        heads: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if size[0] % patch or size[1] % patch:
            raise ModelError(
                f"patches of {patch} pixels do not tile an image of {size[0]}x{size[1]}", f"Give multiples of {patch}."
            )
        self.patches = nn.Conv2d(channels, dim, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.zeros(1, 1 + (size[0] // patch) * (size[1] // patch), dim))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(dim, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the images."""
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        logits: Tensor = self.head(self.norm(self.blocks(self.dropout(x)))[:, 0])
        return logits
