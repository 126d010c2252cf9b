"""What is done to Z before it is decoded."""

import cmath
import math

import pytest
import torch
from torch import Tensor

from goldcut.networks.decoders import seeded_weights
from goldcut.networks.enrichment import DROPPED, ENRICHMENTS, DropoutNet, Enrichment, log_spectrum, normalise


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(name: str, channels: int) -> Enrichment:
    with seeded_weights(0):
        return ENRICHMENTS[name](channels)


@pytest.mark.parametrize("grid", [(1, 1), (3, 5), (8, 8)], ids=repr)
@pytest.mark.parametrize("name", ENRICHMENTS)
def test_says_how_many_channels_come_out(name: str, grid: tuple[int, int]):
    enrichment = build(name, 6)
    made = enrichment(draw(2, 6, *grid), torch.Generator().manual_seed(0))
    assert made.shape == (2, enrichment.channels, *grid)
    assert made.isfinite().all()


def test_the_spectrum_is_that_of_the_sum_over_waves():
    z = draw(1, 1, 3, 4)
    for u in range(3):
        for v in range(4):
            wave = sum(
                float(z[0, 0, i, j]) * cmath.exp(-2j * math.pi * (u * i / 3 + v * j / 4))
                for i in range(3)
                for j in range(4)
            ) / math.sqrt(12)
            expected = math.log(1 + abs(wave.real) + abs(wave.imag))
            assert float(log_spectrum(z)[0, 0, u, v]) == pytest.approx(expected, abs=1e-5)


def test_normalised_samples_have_mean_0_and_deviation_1():
    made = normalise(5 + 3 * draw(4, 6, 5, 5))
    torch.testing.assert_close(made.mean((1, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.flatten(1).std(1, correction=0), torch.ones(4))
    assert not normalise(torch.full((1, 2, 3, 3), 7.0)).any()


def test_what_is_added_to_z_is_its_spectrum():
    z = draw(2, 3, 4, 4)
    assert torch.equal(build("none", 3)(z), z)
    torch.testing.assert_close(build("fft-residual", 3)(z) - z, normalise(log_spectrum(z)))
    beside = build("fft-concat", 3)(z)
    assert torch.equal(beside[:, :3], z)
    torch.testing.assert_close(beside[:, 3:], normalise(log_spectrum(z)))


def test_dropout_draws_from_the_generator_it_is_given_and_from_nothing_else():
    enrichment, z = build("dropout-net", 64), draw(32, 64, 2, 2)
    assert isinstance(enrichment, DropoutNet)
    before = torch.random.get_rng_state()
    first, again, other = (enrichment(z, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(enrichment(z), enrichment(z))
    assert torch.equal(torch.random.get_rng_state(), before)


@torch.no_grad()
def test_dropout_leaves_the_mean_as_it_is_and_drops_whole_channels():
    enrichment, z = build("dropout-net", 64), draw(64, 64, 3, 3)
    assert isinstance(enrichment, DropoutNet)
    enrichment.mix.weight.copy_(torch.eye(64)[:, :, None, None])
    enrichment.mix.bias.zero_()
    kept, dropped = enrichment(z)[:, 64:], enrichment(z, torch.Generator().manual_seed(0))[:, 64:]
    gone = (dropped == 0).flatten(2).all(2)
    assert float(gone.float().mean()) == pytest.approx(DROPPED, abs=0.03)
    torch.testing.assert_close(dropped[~gone], kept[~gone] / (1 - DROPPED))
