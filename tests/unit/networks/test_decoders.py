"""Decoders for every shape by one rule, with even capacity."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from goldcut.networks.decoders import SIZES, Size, build_decoder
from goldcut.networks.entries import token_grid
from goldcut.networks.trunk import DARKEST, ladder_grids
from goldcut.records import Kind

SMALL = Size(width=8, blocks=1, layers=1)

SHAPES: list[tuple[tuple[int, ...], Kind]] = [
    ((16, 32, 32), "map"),
    ((64, 32, 32), "map"),
    ((24, 112, 112), "map"),
    ((32, 16, 16), "map"),
    ((24, 14, 14), "map"),
    ((64, 8, 8), "map"),
    ((128, 7, 5), "map"),
    ((600, 2, 2), "map"),
    ((64, 1, 1), "map"),
    ((64,), "vector"),
    ((10,), "vector"),
    ((2000,), "vector"),
    ((65, 96), "tokens"),
    ((64, 96), "tokens"),
    ((50, 96), "tokens"),
    ((13, 96), "tokens"),
    ((1, 96), "tokens"),
]
IMAGES = [(3, 32, 32), (1, 28, 28), (3, 30, 30), (2, 96, 96), (1, 8, 8), (4, 20, 33)]


@pytest.mark.parametrize("image_shape", IMAGES, ids=repr)
@pytest.mark.parametrize(("z_shape", "kind"), SHAPES, ids=repr)
def test_makes_images_from_every_shape_and_learns_from_all_weights(
    z_shape: tuple[int, ...], kind: Kind, image_shape: tuple[int, int, int]
):
    decoder = build_decoder(z_shape, kind, image_shape, SMALL, seed=0)
    nn.init.normal_(decoder.trunk.paint.weight, std=0.05, generator=torch.Generator().manual_seed(1))
    images = decoder(torch.randn(2, *z_shape, generator=torch.Generator().manual_seed(0)))
    assert images.shape == (2, *image_shape)
    assert ((images > 0) & (images < 1)).all()
    images.square().mean().backward()
    assert all(weight.grad is not None for weight in decoder.parameters())


def count_macs(z_shape: tuple[int, ...], kind: Kind, size: str) -> float:
    decoder = build_decoder(z_shape, kind, (3, 32, 32), SIZES[size], seed=0)
    with FlopCounterMode(display=False) as counter:
        decoder(torch.zeros(1, *z_shape))
    return counter.get_total_flops() / 2e6


@pytest.mark.parametrize(("size", "least", "most"), [("S", 15, 26), ("M", 65, 85)])
def test_the_work_hardly_depends_on_the_cut(size: str, least: float, most: float):
    work = [count_macs(z_shape, kind, size) for z_shape, kind in SHAPES]
    assert least < min(work)
    assert max(work) < most


def test_the_trunk_is_the_same_behind_every_cut():
    trunks = [build_decoder(z_shape, kind, (3, 32, 32), SMALL, seed=0).trunk for z_shape, kind in SHAPES]
    shapes = [{name: weight.shape for name, weight in trunk.named_parameters()} for trunk in trunks]
    assert all(other == shapes[0] for other in shapes)


def test_the_seed_decides_and_the_global_generator_stays():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, again, other = (build_decoder((8, 4, 4), "map", (3, 16, 16), SMALL, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [torch.cat([weight.flatten() for weight in decoder.parameters()]) for decoder in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_decoders_built_side_by_side_are_those_built_alone():
    def build(seed: int) -> torch.Tensor:
        decoder = build_decoder((16, 8, 8), "map", (3, 32, 32), SMALL, seed=seed)
        return torch.cat([weight.flatten() for weight in decoder.parameters()])

    alone = [build(seed) for seed in range(24)]
    before = torch.random.get_rng_state()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(build, range(24)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_untrained_decoder_paints_the_image_it_is_told_to_start_at():
    decoder = build_decoder((10,), "vector", (3, 9, 9), SMALL, seed=0)
    image = torch.rand(3, 9, 9, generator=torch.Generator().manual_seed(0))
    decoder.trunk.start_at(image)
    painted = decoder(torch.randn(4, 10, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(painted, image.clamp(DARKEST, 1 - DARKEST).expand(4, -1, -1, -1))


def test_samples_do_not_see_each_other():
    decoder = build_decoder((17, 24), "tokens", (3, 16, 16), SMALL, seed=0)
    nn.init.normal_(decoder.trunk.paint.weight, std=0.05, generator=torch.Generator().manual_seed(1))
    z = torch.randn(4, 17, 24, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(decoder(z)[1:2], decoder(z[1:2]))


@pytest.mark.parametrize("tokens", range(1, 300))
def test_a_found_token_grid_holds_all_tokens_in_the_proportions(tokens: int):
    found = token_grid(tokens, (16, 16))
    if found is not None:
        extra, (height, width) = found
        assert extra + height * width == tokens
        assert height == width


def test_the_rungs_cover_the_image():
    for shape in IMAGES:
        assert all(2 * side >= length for side, length in zip(ladder_grids(shape)[-1], shape[1:], strict=True))
