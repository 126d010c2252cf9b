"""How zone rules are scored: hand-worked curves, and properties."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[3]))

from benchmarks.zone.attack import bisect
from benchmarks.zone.rules import Case, bootstrap, fit_threshold, is_hit, leave_one_out, position, ranks, spearman

CURVES = st.lists(st.floats(-10, 10, allow_nan=False), min_size=3, max_size=12)


@pytest.mark.parametrize(
    ("curve", "threshold", "expected"),
    [
        ([0.9, 0.5, 0.7, 0.4, 0.2], 0.6, 3),  # it must stay below
        ([0.5, 0.4, 0.2], 0.6, 0),
        ([0.9, 0.8, 0.2], 0.6, 2),  # only the output: no zone
        ([0.9, 0.8, 0.7], 0.6, 2),  # not even the output
        ([0.9, 0.3, 0.7], 0.6, 2),  # the output is above it
        ([0.9, 0.6, 0.1], 0.6, 1),  # at the threshold counts
    ],
)
def test_position_by_hand(curve, threshold, expected):
    assert position(curve, threshold) == expected


@given(CURVES, st.floats(-10, 10), st.floats(0.1, 10))
def test_position_moves_with_a_scale_and_an_inserted_copy(curve, threshold, scale):
    said = position(curve, threshold)
    assert position([scale * value for value in curve], scale * threshold) == pytest.approx(said, abs=len(curve))
    doubled = [value for value in curve for _ in (0, 1)]
    assert position(doubled, threshold) in (2 * said, 2 * said + 1)


@pytest.mark.parametrize(
    ("said", "answer", "none", "hit"),
    [
        (3, 3, 9, True),
        (4, 3, 9, True),
        (5, 3, 9, False),
        (9, 9, 9, True),
        (8, 9, 9, False),  # a zone where there is none, though one cut off
        (9, 8, 9, False),
    ],
)
def test_hits_by_hand(said, answer, none, hit):
    assert is_hit(said, answer, none) is hit


def test_threshold_separates_where_a_curve_separates():
    cases = [Case("a", (0.9, 0.7, 0.4, 0.1), 2), Case("b", (0.8, 0.3, 0.2, 0.1), 1)]
    threshold = fit_threshold(cases)
    assert 0.4 <= threshold < 0.7
    assert [position(case.curve, threshold) for case in cases] == [2, 1]


def test_threshold_has_the_least_cost_of_all():
    rng = np.random.default_rng(0)
    cases = [
        Case(str(k), tuple(np.sort(rng.random(7))[::-1] + 0.2 * rng.random(7)), int(rng.integers(0, 7)))
        for k in range(5)
    ]

    def cost(threshold: float) -> int:
        return sum(abs(position(case.curve, threshold) - case.answer) for case in cases)

    assert cost(fit_threshold(cases)) == min(cost(threshold) for threshold in np.linspace(-0.1, 1.3, 401))


def test_a_target_is_judged_by_the_others_only():
    same = tuple(Case(name, (0.9, 0.8, 0.4, 0.1), 2) for name in "ab")
    odd = Case("odd", (9.0, 8.0, 7.0, 6.0), 2)  # another scale: the others' threshold says no zone
    verdicts = leave_one_out((*same, odd))
    assert [one.hit for one in verdicts] == [True, True, False]
    assert verdicts[2].said == 3
    assert verdicts[2].threshold == pytest.approx(0.6)


def test_spearman_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    for _ in range(20):
        x, y = rng.integers(0, 5, 9).astype(float), rng.random(9)
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
        assert ranks(x).tolist() == stats.rankdata(x).tolist()


def test_spearman_of_a_constant_is_unknown():
    assert math.isnan(spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))


@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=20, unique=True))
def test_spearman_sees_order_only(values):
    assert spearman(values, [value**3 for value in values]) == pytest.approx(1)
    assert spearman(values, [-value for value in values]) == pytest.approx(-1)


def test_bootstrap_limits_hold_the_mean_of_equal_targets_only():
    assert bootstrap([0.5, 0.5, 0.5]) == (0.5, 0.5)
    low, high = bootstrap([0.0, 1.0, 0.0, 1.0])
    assert 0 <= low < 0.5 < high <= 1


@given(st.integers(1, 40), st.data())
def test_bisection_finds_the_fall(count, data):
    fall = data.draw(st.integers(0, count))
    asked: list[int] = []

    def above(index: int) -> bool:
        asked.append(index)
        return index < fall

    assert bisect(count, above) == fall
    assert len(asked) <= 1 + math.ceil(math.log2(count + 1))
