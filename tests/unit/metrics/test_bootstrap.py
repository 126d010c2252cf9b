"""Bootstrap limits against SciPy and against theory."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from goldcut.metrics.bootstrap import bootstrap_mean, bootstrap_ratio


def test_the_limits_of_a_mean_agree_with_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=400)
    low, high = bootstrap_mean(values, seed=0)
    expected = bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    np.testing.assert_allclose([low, high], [expected.low, expected.high], rtol=0.01)


def test_the_limits_of_a_ratio_agree_with_scipy():
    rng = np.random.default_rng(2)
    below = rng.gamma(3.0, size=300)
    above = below * 0.4 + 0.1 * rng.gamma(2.0, size=300)
    expected = bootstrap(
        (above, below),
        lambda a, b, axis: a.mean(axis) / b.mean(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=4000,
        rng=1,
    ).confidence_interval
    np.testing.assert_allclose(bootstrap_ratio(above, below, seed=0), [expected.low, expected.high], rtol=0.01)


@settings(deadline=None, max_examples=10)
@given(st.floats(0.1, 10), st.integers(0, 1000))
def test_a_ratio_survives_a_common_scale_and_the_seed_decides(scale: float, seed: int):
    rng = np.random.default_rng(0)
    above, below = rng.random((2, 50))
    first = bootstrap_ratio(above, below, seed=seed)
    np.testing.assert_allclose(bootstrap_ratio(scale * above, scale * below, seed=seed), first)
    assert first[0] <= above.mean() / below.mean() <= first[1]
    assert bootstrap_ratio(above, below, seed=seed) == first


def test_without_any_difference_to_the_zero_of_the_scale_there_are_no_limits():
    assert np.isnan(bootstrap_ratio(np.zeros(5), np.zeros(5), seed=0)).all()
