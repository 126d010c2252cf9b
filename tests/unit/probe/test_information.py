"""The bounds against information that can be computed: Gaussians, and mixtures by quadrature."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldcut.probe.information import (
    NOISE_LEVELS,
    information_bound,
    label_entropy,
    paper_class_entropy,
    paper_global_entropy,
)


def mixture_information(means: np.ndarray, variances: np.ndarray, weights: np.ndarray, sigma: float) -> float:
    """I(Z; Z+N) in nats of a one-dimensional Gaussian mixture, by quadrature of h(Z+N) - h(N)."""
    spread = np.sqrt(variances + sigma**2)
    grid = np.linspace((means - 12 * spread).min(), (means + 12 * spread).max(), 400_001)
    density = sum(
        w * np.exp(-((grid - m) ** 2) / (2 * s**2)) / (s * math.sqrt(2 * math.pi))
        for w, m, s in zip(weights, means, spread, strict=True)
    )
    entropy = -np.trapezoid(density * np.log(np.where(density > 0, density, 1)), grid)
    return float(entropy - 0.5 * math.log(2 * math.pi * math.e * sigma**2))


@pytest.mark.parametrize("rho", NOISE_LEVELS)
def test_one_gaussian_meets_the_global_bound(rho: float) -> None:
    bound = information_bound(9.0, np.array([9.0]), np.array([1.0]), 1, rho)
    truth = mixture_information(np.zeros(1), np.full(1, 9.0), np.ones(1), bound.sigma)
    assert bound.sigma == pytest.approx(3 * rho)
    assert bound.global_nats == pytest.approx(truth, rel=1e-6)
    assert bound.class_nats == pytest.approx(truth, rel=1e-6)
    assert bound.relative_gap == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("rho", NOISE_LEVELS)
@pytest.mark.parametrize("distance", [0.0, 1.0, 10.0])
def test_both_bounds_hold_for_a_mixture(rho: float, distance: float) -> None:
    means, variances = distance * np.array([-1.0, 0.5, 2.0]), np.array([0.1, 1.0, 0.3])
    weights = np.array([0.5, 0.3, 0.2])
    centre = weights @ means
    total = weights @ (variances + (means - centre) ** 2)
    bound = information_bound(total, variances, weights, 1, rho)
    truth = mixture_information(means, variances, weights, bound.sigma)
    assert truth <= bound.global_nats + 1e-6
    assert truth <= bound.class_nats + 1e-6


def test_the_class_bound_is_tight_for_classes_far_apart() -> None:
    means, variances, weights = np.array([-100.0, 100.0]), np.array([1.0, 1.0]), np.array([0.5, 0.5])
    bound = information_bound(10001.0, variances, weights, 1, 0.01)
    truth = mixture_information(means, variances, weights, bound.sigma)
    assert bound.class_nats == pytest.approx(truth, rel=1e-6)
    assert bound.global_nats > 2 * truth


@given(
    radii=st.lists(st.floats(0, 5), min_size=2, max_size=6),
    between=st.floats(0.01, 5),
    scale=st.floats(0.01, 100),
    elements=st.integers(1, 10_000),
    rho=st.sampled_from(NOISE_LEVELS),
)
def test_scaling_z_changes_nothing_but_sigma(
    radii: list[float], between: float, scale: float, elements: int, rho: float
) -> None:
    radii_sq, shares = np.array(radii), np.full(len(radii), 1 / len(radii))
    total = shares @ radii_sq + between
    plain = information_bound(total, radii_sq, shares, elements, rho)
    scaled = information_bound(scale**2 * total, scale**2 * radii_sq, shares, elements, rho)
    assert scaled.sigma == pytest.approx(scale * plain.sigma)
    assert scaled.global_nats == pytest.approx(plain.global_nats)
    assert scaled.class_nats == pytest.approx(plain.class_nats)
    assert scaled.relative_gap == pytest.approx(plain.relative_gap, abs=1e-6)
    assert plain.conditional_nats <= plain.global_nats + 1e-9


def test_more_noise_tells_less_and_wider_classes_tell_more() -> None:
    shares = np.array([0.5, 0.5])
    by_noise = [information_bound(4.0, np.array([1.0, 2.0]), shares, 3, rho).class_nats for rho in NOISE_LEVELS]
    assert by_noise == sorted(by_noise, reverse=True)
    by_radius = [information_bound(4.0, np.array([r, r]), shares, 3, 0.1).class_nats for r in (0.1, 1.0, 3.0)]
    assert by_radius == sorted(by_radius)


def test_empty_classes_count_nothing() -> None:
    full = information_bound(4.0, np.array([1.0, 2.0]), np.array([0.5, 0.5]), 3, 0.1)
    padded = information_bound(4.0, np.array([1.0, 0.0, 2.0]), np.array([0.5, 0.0, 0.5]), 3, 0.1)
    assert padded == full
    assert label_entropy(np.full(10, 0.1)) == pytest.approx(math.log(10))


def test_the_papers_entropies_are_those_of_gaussians_and_move_with_scale() -> None:
    radii, shares = np.array([1.0, 4.0]), np.array([0.25, 0.75])
    expected = 0.25 * 3 / 2 * math.log(2 * math.pi * math.e / 3) + 0.75 * 3 / 2 * math.log(2 * math.pi * math.e * 4 / 3)
    assert paper_class_entropy(radii, shares, 3) == pytest.approx(expected)
    low, high = paper_global_entropy(5.0, 3), paper_global_entropy(4 * 5.0, 3)
    assert low is not None
    assert high is not None
    assert high - low == pytest.approx(3 * math.log(2))
    assert paper_class_entropy(np.array([1.0, 0.0]), shares, 3) is None
    assert paper_global_entropy(0.0, 3) is None
