"""Blocks of attention that stand between the blocks of a deconvolution decoder: maps in, maps of the same shape out.

They are the enhancements that the paper gives its attacker (Liu et al.: Partitioning for Intrinsic Model Inversion
Resistance in Collaborative Inference, 2026). Large selective kernels and multi-scale attention are taken from their
own papers; the authors' scripts hold shortened forms of them.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from goldcut.networks.entries import Encoder

HEADS = 2
"""Heads of the multi-head attention in the authors' scripts."""

FINEST_ATTENTION = 16
"""Side of the largest grid whose positions attend to each other; what attention adds to a finer map is spread."""

REDUCTION = 16
"""Channels per channel of the squeeze (Hu et al. 2018, section 6.1)."""

STRIPS = (7, 11, 21)
"""Lengths of the strips (Guo et al. 2022, section 3.1)."""


class MultiHead(nn.Module):
    """Every position attends to every other, in two heads: one transformer layer.

    A grid finer than 16 x 16 is averaged down to it first, and what the layer changes is spread over the fine grid:
    4,096 positions would need 16 million products.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = Encoder(channels, HEADS)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        grid = (min(x.shape[2], FINEST_ATTENTION), min(x.shape[3], FINEST_ATTENTION))
        coarse = functional.adaptive_avg_pool2d(x, grid)
        seen = self.layer(coarse.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(coarse.shape)
        return x + functional.interpolate(seen - coarse, size=x.shape[2:], mode="bilinear")


class ConvAttention(nn.Module):
    """Attention as a convolution: x times the sigmoid of a depth-wise 5x5 convolution, then a 1x1 convolution.

    This is the form in the paper's own scripts, which name no source for it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False)
        self.mix = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        mixed: Tensor = self.mix(x * self.look(x).sigmoid())
        return mixed


class SqueezeExcite(nn.Module):
    """Each channel is scaled by what the means of all channels say (Hu, Shen, Sun: Squeeze-and-Excitation, 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // REDUCTION)
        self.excite = nn.Sequential(nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels), nn.Sigmoid())

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        scales: Tensor = self.excite(x.mean((2, 3)))
        return x * scales[:, :, None, None]


class SelectiveKernel(nn.Module):
    """Two large kernels, chosen between at each position (Li et al.: Large Selective Kernel Network, 2023, eq. 3-9).

    Depth-wise 5x5, then 7x7 with dilation 3 on top of it: fields of view of 5 and 23. Added to x, as the module stands
    inside a residual there.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = max(1, channels // 2)
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels)
        self.narrow = nn.ModuleList(nn.Conv2d(channels, half, 1) for _ in range(2))
        self.choose = nn.Conv2d(2, 2, 7, padding=3)
        self.widen = nn.Conv2d(half, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        near = self.near(x)
        fields = [narrow(field) for narrow, field in zip(self.narrow, (near, self.far(near)), strict=True)]
        both = torch.cat(fields, 1)
        shares = self.choose(torch.cat([both.mean(1, keepdim=True), both.amax(1, keepdim=True)], 1)).sigmoid()
        weights: Tensor = self.widen(fields[0] * shares[:, :1] + fields[1] * shares[:, 1:])
        return x + x * weights


class MultiScale(nn.Module):
    """Strips of three lengths weigh each element (Guo et al.: SegNeXt, 2022, eq. 1-2: MSCA).

    Added to x, as the module stands inside a residual there.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.strips = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, (1, length), padding=(0, length // 2), groups=channels),
                nn.Conv2d(channels, channels, (length, 1), padding=(length // 2, 0), groups=channels),
            )
            for length in STRIPS
        )
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        near = self.near(x)
        weights: Tensor = self.mix(sum((strip(near) for strip in self.strips), near))
        return x + x * weights


ATTENTIONS: dict[str, Callable[[int], nn.Module]] = {
    "attention": MultiHead,
    "conv-attention": ConvAttention,
    "se": SqueezeExcite,
    "lsk": SelectiveKernel,
    "msca": MultiScale,
}
"""Blocks by name, each made from the number of channels."""
