"""Substitute edges for every shape of Z by one rule."""

import pytest
import torch

from goldcut.networks.encoders import build_encoder
from goldcut.records import Kind

SHAPES: list[tuple[tuple[int, ...], Kind]] = [
    ((16, 32, 32), "map"),
    ((24, 40, 40), "map"),
    ((24, 14, 14), "map"),
    ((32, 7, 5), "map"),
    ((64, 1, 1), "map"),
    ((10,), "vector"),
    ((300,), "vector"),
    ((65, 24), "tokens"),
    ((64, 24), "tokens"),
    ((11, 24), "tokens"),
    ((1, 24), "tokens"),
]
IMAGES = [(3, 32, 32), (1, 28, 28), (2, 20, 33), (1, 8, 8)]


@pytest.mark.parametrize("image_shape", IMAGES, ids=repr)
@pytest.mark.parametrize(("z_shape", "kind"), SHAPES, ids=repr)
def test_makes_z_of_every_shape_and_learns_from_all_weights(
    z_shape: tuple[int, ...], kind: Kind, image_shape: tuple[int, int, int]
):
    encoder = build_encoder(image_shape, z_shape, kind, positive=False, seed=0)
    z = encoder(torch.rand(2, *image_shape, generator=torch.Generator().manual_seed(0)))
    assert z.shape == (2, *z_shape)
    assert z.min() < 0 < z.max()
    assert not torch.equal(z[0], z[1])
    z.square().mean().backward()
    assert all(weight.grad is not None for weight in encoder.parameters())


@pytest.mark.parametrize(("z_shape", "kind"), SHAPES[-3:] + SHAPES[2:3] + SHAPES[5:6], ids=repr)
def test_what_is_never_negative_is_copied_without_negative_values(z_shape: tuple[int, ...], kind: Kind):
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    plain, positive = (
        build_encoder((1, 28, 28), z_shape, kind, positive=rule, seed=3)(images) for rule in (False, True)
    )
    assert torch.equal(plain.relu(), positive)


def test_the_seed_decides_and_the_global_generator_stays():
    before = torch.random.get_rng_state()
    first, again, other = (
        torch.cat([w.flatten() for w in build_encoder((1, 8, 8), (8, 4, 4), "map", positive=True, seed=s).parameters()])
        for s in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_token_sees_its_own_patch_and_its_place():
    encoder = build_encoder((1, 8, 8), (16, 6), "tokens", positive=False, seed=0)
    z = encoder(torch.full((1, 1, 8, 8), 0.3))
    assert not torch.allclose(z[0, 0], z[0, 1])  # the same patch at another place
    spot = torch.full((1, 1, 8, 8), 0.3)
    spot[..., :2, :2] = 0.9
    changed = (encoder(spot) - z).abs().sum(2)[0]
    assert changed.argmax() == 0
