"""The bound against Gaussian data whose mutual information is known, and against the attacker that no one beats."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.probe.promise import (
    Spread,
    bits,
    bits_for,
    clip_norm,
    entropy_of,
    find_basis,
    find_sigma,
    measure_spread,
    odds,
    upper_limit,
)


def spread_of(powers: torch.Tensor, images: int = 100) -> Spread:
    """The limits where the variance along each axis is known."""
    rest = powers.sum() - torch.cat([torch.zeros(1), powers.cumsum(0)])
    return Spread(len(powers), tuple(powers.tolist()), tuple(rest.clamp(min=0).tolist()), images)


def gaussian_bits(powers: torch.Tensor, sigma: float) -> float:
    """I(X; X + N) of independent Gaussians (Cover, Thomas, theorem 9.1.1)."""
    return float(torch.log2(1 + powers / sigma**2).sum()) / 2


def share_right(elements: int, gallery: int, sigma: float, trials: int) -> float:
    """How often the nearest of a gallery of standard Gaussians is the one that was sent."""
    generator = torch.Generator().manual_seed(0)
    right = 0
    for start in range(0, trials, 500):
        n = min(500, trials - start)
        images = torch.randn(n, gallery, elements, generator=generator)
        sent = images[:, :1] + sigma * torch.randn(n, 1, elements, generator=generator)
        right += int(((images - sent).square().sum(2).argmin(1) == 0).sum())
    return right / trials


POWERS = st.lists(st.floats(0.01, 100), min_size=1, max_size=12).map(
    lambda values: torch.tensor(sorted(values, reverse=True))
)


@settings(max_examples=60, deadline=None)
@given(powers=POWERS, sigma=st.floats(0.1, 30), releases=st.integers(1, 9))
def test_known_variances_give_the_mutual_information(powers: torch.Tensor, sigma: float, releases: int) -> None:
    found = bits(spread_of(powers), sigma, releases)
    assert found == pytest.approx(gaussian_bits(powers, sigma / math.sqrt(releases)), rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(powers=POWERS, sigma=st.floats(0.1, 30))
def test_directions_never_say_more_than_the_trace(powers: torch.Tensor, sigma: float) -> None:
    trace = len(powers) / 2 * math.log2(1 + float(powers.sum()) / len(powers) / sigma**2)
    assert bits(spread_of(powers), sigma) <= trace * (1 + 1e-6)


@settings(max_examples=60, deadline=None)
@given(powers=POWERS, sigma=st.floats(0.1, 30), place=st.integers(0, 11), more=st.floats(0, 50))
def test_larger_limits_never_lower_the_bound(powers: torch.Tensor, sigma: float, place: int, more: float) -> None:
    known = spread_of(powers)
    k = place % len(powers)
    along = tuple(value + more * (index == k) for index, value in enumerate(known.along))
    rest = tuple(value + more * (index == k) for index, value in enumerate(known.rest))
    for larger in (Spread(known.elements, along, known.rest, 9), Spread(known.elements, known.along, rest, 9)):
        assert bits(larger, sigma) >= bits(known, sigma) * (1 - 1e-9)


def test_the_limit_holds_as_often_as_it_says() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(400, 300, generator=generator, dtype=torch.float64) ** 4
    low = upper_limit(values, 1.0, 0.05) < 0.2
    assert low.double().mean() <= 0.05
    assert (upper_limit(values, 1.0, 0.05) < 0.4).all()


def test_measured_on_other_images_it_stays_above_the_truth_and_near_it() -> None:
    generator = torch.Generator().manual_seed(1)
    powers = torch.logspace(1, -2, 40)
    z = torch.randn(20_000, 40, generator=generator) * powers.sqrt()
    labels = torch.zeros(10_000, dtype=torch.long)
    norm = float(torch.linalg.vector_norm(z, dim=1).max())
    basis = find_basis(z[:10_000], labels, 1)
    torch.testing.assert_close(basis.whole.T @ basis.whole, torch.eye(40), rtol=0, atol=1e-5)
    spread = measure_spread(z[10_000:], basis.centres[0], basis.whole, norm)
    for sigma in (0.5, 2.0, 8.0):
        truth = gaussian_bits(powers, sigma)
        assert truth < bits(spread, sigma) < 1.35 * truth


def test_within_classes_the_centres_tell_nothing() -> None:
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 4, (8000,), generator=generator)
    centres = 10 * torch.randn(4, 12, generator=generator)
    z = centres[labels] + torch.randn(8000, 12, generator=generator)
    norm = float(torch.linalg.vector_norm(z, dim=1).max())
    basis = find_basis(z[:4000], labels[:4000], 4)
    torch.testing.assert_close(basis.centres[1:], centres, rtol=0, atol=0.2)
    within = measure_spread(z[4000:], basis.centres[1 + labels[4000:]], basis.within, norm)
    whole = measure_spread(z[4000:], basis.centres[0], basis.whole, norm)
    assert gaussian_bits(torch.ones(12), 3.0) < bits(within, 3.0) < bits(whole, 3.0)


@settings(max_examples=60, deadline=None)
@given(gallery=st.integers(3, 5000), share=st.floats(0.01, 0.99))
def test_odds_and_bits_are_inverse(gallery: int, share: float) -> None:
    wanted = 1 / gallery + share * (1 - 1 / gallery)
    assert odds(bits_for(wanted, gallery), gallery) == pytest.approx(wanted, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(shares=st.lists(st.floats(0.01, 1.0), min_size=2, max_size=20))
def test_the_odds_of_unequal_classes_are_never_below_the_largest(shares: list[float]) -> None:
    """Whoever knows nothing names the largest class; with two classes that is all that nothing leaves."""
    counts = np.maximum(1, np.round(1000 * np.array(shares) / sum(shares))).astype(int)
    labels = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
    entropy, largest = entropy_of(labels), float(counts.max() / counts.sum())
    assert entropy == pytest.approx(scipy.stats.entropy(counts, base=2), abs=1e-9)
    reached = [odds(bits, len(counts), entropy=entropy) for bits in (0.0, 0.1, 0.5)]
    assert largest - 1e-6 <= reached[0] <= reached[1] <= reached[2] <= 1
    if len(counts) == 2:
        assert reached[0] == pytest.approx(largest, abs=1e-6)


@pytest.mark.parametrize(("gallery", "elements"), [(3, 10), (10, 100), (100, 10), (1000, 10)])
@pytest.mark.parametrize("promised", [0.6, 0.9])
def test_the_best_attacker_never_beats_the_promise(gallery: int, elements: int, promised: float) -> None:
    sigma = 1 / math.sqrt(2 ** (2 * bits_for(promised, gallery) / elements) - 1)
    trials = 1000
    assert share_right(elements, gallery, sigma, trials) <= promised + 3 * math.sqrt(0.25 / trials)


def test_the_promise_is_no_idle_one() -> None:
    """With few images and many small hints the best attacker reaches more than 80 % of it."""
    sigma = 1 / math.sqrt(2 ** (2 * bits_for(0.6, 3) / 10) - 1)
    reached = share_right(10, 3, sigma, 20_000)
    assert 0.8 * 0.6 < reached < 0.6


@settings(max_examples=30, deadline=None)
@given(powers=POWERS, wanted=st.floats(0.05, 20), releases=st.integers(1, 9))
def test_the_least_noise_just_keeps_the_bits(powers: torch.Tensor, wanted: float, releases: int) -> None:
    spreads = [spread_of(powers), spread_of(powers / 2)]
    sigma = find_sigma(spreads, wanted, releases)
    assert bits(spreads[0], sigma, releases) == pytest.approx(wanted, rel=1e-3)
    assert bits(spreads[0], 0.99 * sigma, releases) > wanted


def test_clipping_shortens_what_is_too_long_and_nothing_else() -> None:
    z = torch.randn(50, 3, 4, generator=torch.Generator().manual_seed(3))
    clipped = clip_norm(z, 3.0)
    length = torch.linalg.vector_norm(z.flatten(1), dim=1)
    torch.testing.assert_close(torch.linalg.vector_norm(clipped.flatten(1), dim=1), length.clamp(max=3.0))
    torch.testing.assert_close(clipped[length <= 3.0], z[length <= 3.0], rtol=0, atol=0)
    assert not clip_norm(torch.zeros(2, 3), 1.0).any()
