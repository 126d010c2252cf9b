"""The paper's decoder for every shape by one rule, and theirs where the shapes are theirs."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from goldcut.networks.attention import ATTENTIONS
from goldcut.networks.deconvolution import (
    ENHANCEMENTS,
    Block,
    ReversedResidual,
    as_map,
    build_deconvolution,
    halvings,
)
from goldcut.networks.enrichment import ENRICHMENTS
from goldcut.networks.trunk import DARKEST
from goldcut.records import Kind

SHAPES: list[tuple[tuple[int, ...], Kind]] = [
    ((16, 32, 32), "map"),
    ((8, 40, 40), "map"),
    ((64, 8, 8), "map"),
    ((24, 7, 5), "map"),
    ((64, 1, 1), "map"),
    ((10,), "vector"),
    ((65, 24), "tokens"),
    ((13, 24), "tokens"),
]
IMAGES = [(3, 32, 32), (1, 28, 28), (3, 64, 64), (2, 20, 33), (1, 3, 3)]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("image_shape", IMAGES, ids=repr)
@pytest.mark.parametrize(("z_shape", "kind"), SHAPES, ids=repr)
def test_makes_images_from_every_shape_and_learns_from_all_weights(
    z_shape: tuple[int, ...], kind: Kind, image_shape: tuple[int, int, int]
):
    decoder = build_deconvolution(z_shape, kind, image_shape, width=4, seed=0)
    images = decoder(draw(2, *z_shape))
    assert images.shape == (2, *image_shape)
    assert ((images > 0) & (images < 1)).all()
    images.square().mean().backward()
    assert all(weight.grad is not None for weight in decoder.parameters())


@pytest.mark.parametrize("enhancement", ENHANCEMENTS)
@pytest.mark.parametrize(("z_shape", "kind"), [SHAPES[0], SHAPES[3], SHAPES[5], SHAPES[6]], ids=repr)
def test_enhanced_decoders_fit_wherever_the_plain_one_does(z_shape: tuple[int, ...], kind: Kind, enhancement: str):
    for image_shape in IMAGES[:2]:
        decoder = build_deconvolution(z_shape, kind, image_shape, enhancement=enhancement, width=8, seed=0)
        assert decoder(draw(2, *z_shape)).shape == (2, *image_shape)


@pytest.mark.parametrize("features", ENRICHMENTS)
@pytest.mark.parametrize(("z_shape", "kind"), [SHAPES[2], SHAPES[5], SHAPES[6]], ids=repr)
def test_enriched_z_fits_too(z_shape: tuple[int, ...], kind: Kind, features: str):
    decoder = build_deconvolution(z_shape, kind, IMAGES[0], features=features, width=8, seed=0)
    assert decoder(draw(2, *z_shape), torch.Generator().manual_seed(0)).shape == (2, *IMAGES[0])


def test_the_published_network_is_a_special_case():
    decoder = build_deconvolution((512, 4, 4), "map", (3, 64, 64), seed=0)
    layers = [(type(layer).__name__, tuple(getattr(layer, "weight", torch.empty(0)).shape)) for layer in
              [layer for block in decoder.blocks for layer in block]]  # fmt: skip
    assert layers == [
        ("ConvTranspose2d", (512, 256, 4, 4)), ("BatchNorm2d", (256,)), ("Tanh", (0,)),
        ("ConvTranspose2d", (256, 128, 4, 4)), ("BatchNorm2d", (128,)), ("PReLU", (1,)),
        ("ConvTranspose2d", (128, 64, 4, 4)), ("BatchNorm2d", (64,)), ("PReLU", (1,)),
        ("ConvTranspose2d", (64, 64, 4, 4)), ("BatchNorm2d", (64,)), ("PReLU", (1,)),
    ]  # fmt: skip
    assert tuple(decoder.paint.weight.shape) == (64, 3, 3, 3)
    assert not decoder.base.any()


def test_a_vector_begins_as_in_the_published_network():
    decoder = build_deconvolution((10,), "vector", (1, 64, 64), seed=0)
    first, _, activation, second = decoder.blocks[:4]
    assert tuple(first.weight.shape) == (10, 512, 4, 4)
    assert isinstance(activation, nn.Tanh)
    assert isinstance(second, Block)
    assert tuple(second[0].weight.shape) == (512, 256, 4, 4)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_is_weak_at_shallow_cuts_and_strong_at_deep_ones(name: str):
    def count(z_shape: tuple[int, ...], kind: Kind = "map") -> int:
        decoder = build_deconvolution(z_shape, kind, (3, 64, 64), enhancement=name, width=8, seed=0)
        return sum(not isinstance(block, Block | nn.Tanh | nn.BatchNorm2d | nn.ConvTranspose2d) for block in decoder.blocks)  # fmt: skip # noqa: E501

    shallow_to_deep = [count((8, side, side)) for side in (64, 32, 16, 8, 4)] + [count((8,), "vector")]
    assert shallow_to_deep == [1, 1, 1, 2, 3, 3]


def test_reversed_residuals_double_and_keep_in_turn():
    decoder = build_deconvolution((512, 4, 4), "map", (3, 64, 64), enhancement="reversed-residual", seed=0)
    assert all(isinstance(block, ReversedResidual) for block in decoder.blocks)
    x, sides = draw(1, 512, 4, 4), []
    for block in decoder.blocks:
        x = block(x)
        sides.append(tuple(x.shape[1:]))
    assert sides == [(256, 8, 8)] * 2 + [(128, 16, 16)] * 2 + [(64, 32, 32)] * 2 + [(64, 64, 64)]


def test_tokens_keep_their_positions():
    tokens = draw(2, 17, 3)
    placed = as_map(tokens, "tokens", (1, 32, 32))
    assert placed.shape == (2, 6, 4, 4)
    for row in range(4):
        for column in range(4):
            assert torch.equal(placed[:, :3, row, column], tokens[:, 1 + 4 * row + column])
            assert torch.equal(placed[:, 3:, row, column], tokens[:, 0])
    assert as_map(draw(2, 13, 3), "tokens", (1, 32, 32)).shape == (2, 39, 1, 1)


@torch.no_grad()
def test_what_hangs_over_the_image_is_cut_off_and_nothing_shifts():
    # Grids of strided layers: 28 - 14 - 7 - 4, so pixel (i, j) of Z lies at rows 8 i.
    decoder = build_deconvolution((4, 4, 4), "map", (1, 28, 28), width=4, seed=0).eval()
    z = draw(1, 4, 4, 4)
    moved = z.clone()
    moved[..., 0, 0] += 5
    changed = (decoder(moved) - decoder(z)).abs()[0, 0]
    assert float(changed[:8, :8].mean()) > 0
    assert not changed[20:, 20:].any()


@pytest.mark.parametrize(("grid", "image", "expected"), [((1, 1), (32, 32), 5), ((7, 5), (28, 28), 3), ((5, 9), (33, 64), 3), ((3, 3), (3, 3), 0), ((9, 9), (3, 3), 0)])  # fmt: skip # noqa: E501
def test_doublings_cover_the_image_and_no_fewer_do(grid: tuple[int, int], image: tuple[int, int], expected: int):
    assert halvings(grid, (1, *image)) == expected
    assert all(side * 2**expected >= want for side, want in zip(grid, image, strict=True))
    assert not expected or any(side * 2 ** (expected - 1) < want for side, want in zip(grid, image, strict=True))


def test_an_untrained_decoder_paints_the_image_it_is_told_to_start_at():
    decoder = build_deconvolution((10,), "vector", (3, 9, 9), width=4, seed=0)
    image = torch.rand(3, 9, 9, generator=torch.Generator().manual_seed(0))
    decoder.start_at(image)
    torch.testing.assert_close(decoder(draw(4, 10)), image.clamp(DARKEST, 1 - DARKEST).expand(4, -1, -1, -1))


def test_the_seed_decides_also_side_by_side_and_the_global_generator_stays():
    def build(seed: int) -> Tensor:
        decoder = build_deconvolution((8, 4, 4), "map", (3, 16, 16), enhancement="lsk", width=8, seed=seed)
        return torch.cat([weight.flatten() for weight in decoder.parameters()])

    before = torch.random.get_rng_state()
    alone = [build(seed) for seed in range(12)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(build, range(12)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert not torch.equal(alone[0], alone[1])
    assert torch.equal(torch.random.get_rng_state(), before)
