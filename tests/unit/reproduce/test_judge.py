"""Verdicts: each can be reached, the interval decides, and the limits are those of the textbooks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from goldcut.reproduce.judge import (
    STUDENT,
    Figure,
    best,
    judge,
    paired_difference,
    paired_ratio,
    ratio,
    read_claims,
    share_of,
)
from reproduce_samples import made_result


@pytest.mark.parametrize(
    ("figure", "difference", "verdict"),
    [
        (Figure(6, 5, 7), "small", "holds"),
        (Figure(2, 1, 3), "small", "does not hold"),
        (Figure(4.5, 3, 6), "small", "not testable at this scale"),
        (None, "small", "not run"),
    ],
    ids=["above", "below", "astride", "missing"],
)
def test_the_whole_interval_decides(figure, difference, verdict):
    record = judge("shallow-ratio", "a network", figure, difference=difference)
    assert record.verdict == verdict
    assert bool(record.reason) == (verdict in ("not testable at this scale", "not run"))
    assert record.needs == "at least 4"


def test_a_number_of_the_published_setting_is_confirmed_there_alone():
    figure = Figure.exact(2.5)
    assert judge("vgg-parameters", "x", figure, difference="").verdict == "holds"
    assert judge("vgg-parameters", "x", Figure.exact(9.0), difference="").verdict == "does not hold"
    assert judge("vgg-parameters", "x", figure, difference="another network").verdict == "not testable at this scale"


def test_a_doubt_decides_nothing():
    record = judge("shallow-ratio", "x", Figure(6, 5, 7), difference="", doubt="it had not converged")
    assert (record.verdict, record.reason) == ("not testable at this scale", "it had not converged")


def test_every_claim_has_a_bound_and_a_source():
    for claim in read_claims().values():
        assert claim.needs
        assert claim.source
        assert (claim.paper is None) == (claim.kind == "ours")


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=10))
def test_paired_limits_are_those_of_a_one_sample_t_test(steps):
    found = paired_difference(steps, [0.0] * len(steps))
    spread = np.std(steps, ddof=1)
    if spread < 1e-6:
        return
    low, high = stats.t.interval(0.95, len(steps) - 1, np.mean(steps), spread / math.sqrt(len(steps)))
    assert found.low == pytest.approx(low, rel=1e-3, abs=1e-3)
    assert found.high == pytest.approx(high, rel=1e-3, abs=1e-3)


def test_the_quantiles_are_students():
    for freedom, quantile in STUDENT.items():
        assert quantile == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-3)


def test_a_ratio_over_seeds_is_geometric():
    found = paired_ratio([2.0, 8.0], [1.0, 1.0])
    assert found.value == pytest.approx(4)
    assert found.low * found.high == pytest.approx(16)


def test_one_seed_decides_nothing():
    found = paired_ratio([9.0], [1.0])
    assert judge("smoothing-resists", "x", found, difference="").verdict == "not testable at this scale"
    assert paired_ratio([], []) is None


@given(st.integers(1, 50), st.data())
def test_wilsons_limits_solve_their_equation(trials, data):
    hits = data.draw(st.integers(0, trials))
    found = share_of(hits, trials)
    for bound in (found.low, found.high):
        if 0 < bound < 1:
            assert (found.value - bound) ** 2 == pytest.approx(1.96**2 * bound * (1 - bound) / trials, abs=1e-12)
    assert found.low <= found.value <= found.high


def test_a_ratio_of_errors_is_as_wide_as_both_intervals_allow():
    found = ratio(made_result("b", "x", 0.4, spread=0.1), made_result("a", "x", 0.1, spread=0.1))
    assert (found.value, found.low, found.high) == pytest.approx((4, 4 * 0.9 / 1.1, 4 * 1.1 / 0.9))


def test_the_best_is_chosen_by_the_attackers_own_images():
    first, second = made_result("a", "ridge", 0.2), made_result("a", "deconv-se", 0.1)
    assert best([first, second], "a") is second
    assert best([first, second], "b") is None
