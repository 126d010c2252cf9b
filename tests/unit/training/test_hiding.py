"""Losses that take the image out of Z, each against its formula written out another way."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from goldcut.defenses.noise import GaussianNoise
from goldcut.defenses.quantise import Quantise
from goldcut.errors import TrainingError
from goldcut.networks.decoders import SIZES, build_decoder
from goldcut.probe import dependence
from goldcut.records import Cut
from goldcut.training.hiding import carried, channel_correlation, distance_correlation
from goldcut.training.losses import Answers
from goldcut.training.specs import parse_loss

CUT = Cut(name="cut", shape=(3, 4, 4), kind="map", elements=48, level="block")


def draw(seed: int = 0, images: int = 12):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(images, 1, 8, 8, generator=generator)
    return x, torch.randn(images, 3, 4, 4, generator=generator)


def answers(x, z, **more) -> Answers:
    targets = torch.nn.functional.one_hot(torch.arange(len(x)) % 4, 4).float()
    return Answers(torch.zeros(len(x), 4), targets, torch.arange(len(x)) % 4, {"cut": z}, images=x, **more)


def by_loops(x: np.ndarray, z: np.ndarray) -> float:
    """Distance correlation, definition 4 of Szekely et al., one sum after the other."""
    n = len(x)

    def centred(rows):
        far = [[math.dist(one, other) for other in rows] for one in rows]
        means = [sum(row) / n for row in far]
        whole = sum(means) / n
        return [[far[i][j] - means[i] - means[j] + whole for j in range(n)] for i in range(n)]

    def product(one, other):
        return sum(one[i][j] * other[i][j] for i, j in itertools.product(range(n), repeat=2)) / n**2

    a, b = centred(x), centred(z)
    return math.sqrt(product(a, b) / math.sqrt(product(a, a) * product(b, b)))


def test_the_distance_correlation_by_loops_and_that_of_a_scan():
    x, z = (one.flatten(1).double() for one in draw())
    own = distance_correlation(x, z).item()
    assert own == pytest.approx(by_loops(x.numpy(), z.numpy()), abs=1e-6)
    scanned = dependence.distance_correlation(dependence.distances(x), dependence.distances(z))
    assert own == pytest.approx(scanned, abs=1e-6)


@given(seed=st.integers(0, 99), scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_the_distance_correlation_knows_neither_scale_shift_nor_rotation(seed, scale, shift):
    x, z = (one.flatten(1).double() for one in draw(seed))
    turn, _ = torch.linalg.qr(torch.randn(z.shape[1], z.shape[1], dtype=z.dtype))
    own = distance_correlation(x, z).item()
    assert 0 <= own <= 1
    assert distance_correlation(x, scale * z @ turn + shift).item() == pytest.approx(own, abs=1e-6)
    assert distance_correlation(x, scale * x).item() == pytest.approx(1, abs=1e-6)


def test_nopeek_is_cross_entropy_and_its_weight_of_the_correlation():
    x, z = draw()
    added = parse_loss("nopeek:0.7")(answers(x, z)).item() - math.log(4)
    assert added == pytest.approx(0.7 * by_loops(x.flatten(1).numpy(), z.flatten(1).numpy()), abs=1e-5)


@pytest.mark.parametrize("shape", [(6, 3, 4, 4), (6, 5, 3), (6, 3)], ids=["map", "tokens", "vector"])
def test_the_correlation_of_channels_by_numpy(shape):
    z = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    channels = (
        [z.T.numpy()] if len(shape) == 2 else [(one.T if len(shape) == 3 else one.flatten(1)).numpy() for one in z]
    )
    squares = [np.corrcoef(rows)[i, j] ** 2 for rows in channels for i in range(3) for j in range(3) if i != j]
    assert channel_correlation(z).item() == pytest.approx(np.mean(squares))
    assert channel_correlation(5 * z + 2).item() == pytest.approx(np.mean(squares))


def test_the_funnel_sums_its_three_figures():
    x, z = draw()
    wanted = distance_correlation(x.flatten(1), z.flatten(1)) + channel_correlation(z) + 0.015 * z.abs().mean()
    assert parse_loss("funnel:2")(answers(x, z)).item() == pytest.approx(math.log(4) + 2 * wanted.item(), abs=1e-5)


def test_the_bottleneck_is_the_mean_divergence_from_the_best_normal_distribution():
    z, level = draw()[1].flatten(1).double(), 0.6
    variance = z.var(0, correction=0)
    sigma = level * variance.mean().sqrt()
    prior = Normal(z.mean(0), (variance + sigma**2).sqrt())
    wanted = kl_divergence(Normal(z, sigma), prior).sum(1).mean()
    assert carried(z, level).item() == pytest.approx(wanted.item())
    assert carried(100 * z + 3, level).item() == pytest.approx(wanted.item())
    worse = Normal(z.mean(0), 1.3 * (variance + sigma**2).sqrt())
    assert kl_divergence(Normal(z, sigma), worse).sum(1).mean() > wanted


def test_the_bottleneck_takes_the_level_of_the_noise_and_nothing_else():
    x, z = draw()
    loss = parse_loss("bottleneck:0.01")
    value = loss.joined((CUT,), (1, 8, 8), GaussianNoise(0.6), 0)(answers(x, z)).item()
    assert value == pytest.approx(math.log(4) + 0.01 * carried(z.flatten(1), 0.6).item())
    for other in (None, Quantise(4)):
        with pytest.raises(TrainingError, match=r"only where noise is sent\. Give --defense noise"):
            loss.joined((CUT,), (1, 8, 8), other, 0)


def played(weight: float, aim):
    """Loss of an adversary, its decoder, Z with its gradient, and the images that `aim` makes of the decoder's."""
    x, z = draw(images=4)
    z.requires_grad_()
    loss = parse_loss(f"adversary:{weight:g}").joined((CUT,), (1, 8, 8), None, 3)
    decoder, noise = loss.decoders[0], torch.Generator().manual_seed(2)
    with torch.no_grad():
        for held in decoder.parameters():  # a fresh decoder gives one image
            held += 0.2 * torch.randn(held.shape, generator=noise)
    images = aim(decoder(z).detach(), x)
    value = loss(answers(images, z))
    value.backward()
    return value.item(), decoder, z, images


def test_the_adversary_pushes_z_against_a_decoder_that_learns_from_its_own_error_alone():
    weight = 2.5
    value, decoder, z, images = played(weight, lambda made, x: made.mean(0) + 1.5 * (made - made.mean(0)))
    twin = build_decoder((3, 4, 4), "map", (1, 8, 8), SIZES["XS"], seed=9)
    twin.load_state_dict(decoder.state_dict())
    leaf = z.detach().clone().requires_grad_()
    zero = images.var(0, correction=0).mean()
    error = (twin(leaf) - images).square().mean() / zero
    assert error < 1
    error.backward()
    assert value == pytest.approx(math.log(4) + weight * (1 - error.item()) + error.item(), rel=1e-4)
    assert torch.allclose(z.grad, -weight * leaf.grad, rtol=1e-3, atol=1e-7)
    for own, wanted in zip(decoder.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(own.grad, wanted.grad, rtol=1e-3, atol=1e-6)


def test_the_adversary_gains_nothing_beyond_the_mean_image():
    _, decoder, z, _ = played(2.5, lambda made, x: x)
    assert z.grad.abs().sum() == 0
    assert any(weight.grad.abs().sum() > 0 for weight in decoder.parameters())


def test_the_adversary_looks_at_what_is_sent():
    x, z = draw(images=4)
    loss = parse_loss("adversary").joined((CUT,), (1, 8, 8), None, 3)
    assert loss(answers(x, z, sent={"cut": 0 * z})).item() == pytest.approx(loss(answers(x, 0 * z)).item())


@pytest.mark.parametrize(
    ("loss", "words"),
    [("nopeek", "needs the images"), ("bottleneck", "noise of the bottleneck"), ("adversary", "not built")],
)
def test_what_is_missing_is_named(loss, words):
    _, z = draw()
    with pytest.raises(TrainingError, match=words):
        parse_loss(loss)(Answers(torch.zeros(12, 4), torch.full((12, 4), 0.25), None, {"cut": z}))
