"""Each block of attention against its definition, written out slowly."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from goldcut.networks.attention import (
    ATTENTIONS,
    FINEST_ATTENTION,
    STRIPS,
    ConvAttention,
    MultiHead,
    MultiScale,
    SelectiveKernel,
    SqueezeExcite,
)
from goldcut.networks.decoders import seeded_weights


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(name: str, channels: int) -> nn.Module:
    with seeded_weights(3):
        return ATTENTIONS[name](channels)


def slow_depthwise(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """A depth-wise convolution position by position, zero outside the map."""
    batch, channels, height, width = x.shape
    made = torch.zeros_like(x)
    rows, columns = conv.kernel_size
    for channel in range(channels):
        for i in range(height):
            for j in range(width):
                total = torch.zeros(batch) if conv.bias is None else conv.bias[channel].expand(batch).clone()
                for a in range(rows):
                    for b in range(columns):
                        y = i + (a - rows // 2) * conv.dilation[0]
                        z = j + (b - columns // 2) * conv.dilation[1]
                        if 0 <= y < height and 0 <= z < width:
                            total = total + conv.weight[channel, 0, a, b] * x[:, channel, y, z]
                made[:, channel, i, j] = total
    return made


def slow_pointwise(x: Tensor, conv: nn.Conv2d) -> Tensor:
    mixed = torch.einsum("bchw,oc->bohw", x, conv.weight[:, :, 0, 0])
    return mixed if conv.bias is None else mixed + conv.bias[:, None, None]


@pytest.mark.parametrize("grid", [(1, 1), (3, 5), (8, 8), (33, 20)], ids=repr)
@pytest.mark.parametrize("name", ATTENTIONS)
def test_keeps_the_shape_and_learns_with_all_weights(name: str, grid: tuple[int, int]):
    block = build(name, 16)
    made = block(draw(2, 16, *grid))
    assert made.shape == (2, 16, *grid)
    made.square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in block.parameters())


@pytest.mark.parametrize("name", ATTENTIONS)
def test_samples_do_not_see_each_other(name: str):
    block, x = build(name, 16), draw(3, 16, 6, 6)
    torch.testing.assert_close(block(x)[1:2], block(x[1:2]))


@torch.no_grad()
def test_squeeze_and_excite_scales_each_channel_by_the_means():
    block, x = build("se", 32), draw(2, 32, 4, 5)
    assert isinstance(block, SqueezeExcite)
    first, _, second, _ = block.excite
    assert first.weight.shape == (2, 32)
    for sample in range(2):
        means = torch.tensor([float(x[sample, channel].mean()) for channel in range(32)])
        hidden = (first.weight @ means + first.bias).clamp_min(0)
        for channel, value in enumerate(second.weight @ hidden + second.bias):
            scale = 1 / (1 + math.exp(-float(value)))
            torch.testing.assert_close(block(x)[sample, channel], x[sample, channel] * scale)


@torch.no_grad()
def test_attention_as_convolution():
    block, x = build("conv-attention", 4), draw(2, 4, 6, 7)
    assert isinstance(block, ConvAttention)
    expected = slow_pointwise(x * torch.sigmoid(slow_depthwise(x, block.look)), block.mix)
    torch.testing.assert_close(block(x), expected)


@torch.no_grad()
def test_the_selective_kernel_weighs_two_fields_at_each_position():
    block, x = build("lsk", 4), draw(2, 4, 9, 8)
    assert isinstance(block, SelectiveKernel)
    near = slow_depthwise(x, block.near)
    far = slow_depthwise(near, block.far)
    fields = [slow_pointwise(near, block.narrow[0]), slow_pointwise(far, block.narrow[1])]
    both = torch.cat(fields, 1)
    pooled = torch.stack([both.mean(1), both.max(1).values], 1)
    shares = torch.sigmoid(functional.conv2d(pooled, block.choose.weight, block.choose.bias, padding=3))
    mixed = fields[0] * shares[:, 0:1] + fields[1] * shares[:, 1:2]
    torch.testing.assert_close(block(x), x + x * slow_pointwise(mixed, block.widen))


@torch.no_grad()
def test_the_selective_kernel_sees_23_positions():
    block = build("lsk", 2)
    assert isinstance(block, SelectiveKernel)
    x = torch.zeros(1, 2, 31, 31)
    x[..., 15, 15] = 1
    block.near.bias.zero_()
    block.far.bias.zero_()
    seen = block.far(block.near(x)).abs().sum((0, 1)) > 0
    rows = torch.nonzero(seen.any(1)).flatten()
    assert int(rows[-1] - rows[0]) + 1 == 23


@torch.no_grad()
def test_multi_scale_attention_sums_its_strips():
    block, x = build("msca", 3), draw(1, 3, 7, 9)
    assert isinstance(block, MultiScale)
    near = slow_depthwise(x, block.near)
    total = near
    for strip, length in zip(block.strips, STRIPS, strict=True):
        assert strip[0].kernel_size == (1, length)
        assert strip[1].kernel_size == (length, 1)
        total = total + slow_depthwise(slow_depthwise(near, strip[0]), strip[1])
    torch.testing.assert_close(block(x), x + x * slow_pointwise(total, block.mix))


@torch.no_grad()
def test_multi_head_attention_is_that_of_the_definition():
    block, x = build("attention", 6), draw(1, 6, 2, 3)
    assert isinstance(block, MultiHead)
    tokens = x[0].flatten(1).T
    normed = block.layer.norm(tokens)
    query, key, value = block.layer.attend(normed).split(6, dim=1)
    heads = []
    for head in (slice(0, 3), slice(3, 6)):
        scores = (query[:, head] @ key[:, head].T / math.sqrt(3)).softmax(1)
        heads.append(scores @ value[:, head])
    seen = tokens + block.layer.join(torch.cat(heads, 1))
    expected = seen + block.layer.mix(seen)
    torch.testing.assert_close(block(x)[0].flatten(1).T, expected)


@torch.no_grad()
def test_multi_head_attention_adds_a_coarse_change_to_a_fine_map():
    block = build("attention", 4)
    fine = draw(1, 4, 2 * FINEST_ATTENTION, 2 * FINEST_ATTENTION)
    coarse = functional.avg_pool2d(fine, 2)
    added = functional.interpolate(block(coarse) - coarse, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(block(fine), fine + added)
