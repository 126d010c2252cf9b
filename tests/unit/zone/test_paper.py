"""The paper's rule on curves worked by hand."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldcut.zone.paper import find_indices, paper_zone

NAMES = tuple("abcdefg")


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        # drops .1 .67 .03: nothing strictly between the two largest (steps 1 and 0), one index
        ([10.0, 9.0, 3.0, 2.9], (2,)),
        # drops .5 .3 .5714: largest at step 2, second at step 0, .3 between them: the second comes before the first
        ([100.0, 50.0, 35.0, 15.0], (3, 1)),
        # drops .6 .25 .5: largest at step 0, second at step 2, .25 between them
        ([100.0, 40.0, 30.0, 15.0], (1, 3)),
        # drops .6 .19 .5: all drops between are below .2
        ([100.0, 40.0, 32.4, 16.2], (1,)),
        # drops .6 .2 .5: .2 itself is not below .2
        ([100.0, 40.0, 32.0, 16.0], (1, 3)),
        # drops .6 .1 .3 .1 .5: one of several between is not below .2
        ([1000.0, 400.0, 360.0, 252.0, 226.8, 113.4], (1, 5)),
        # a rise between is no drop of .2
        ([100.0, 40.0, 60.0, 30.0], (1,)),
        # neighbours: nothing between
        ([100.0, 40.0, 10.0], (2,)),
        # two cuts: one drop
        ([5.0, 4.0], (1,)),
        # equal drops: the earlier is the largest
        ([8.0, 4.0, 3.0, 1.5], (1, 3)),
        # a cut at 0 is followed by no drop
        ([4.0, 0.0, 3.0, 1.5], (1,)),
    ],
)
def test_worked_curves(curve: list[float], expected: tuple[int, ...]) -> None:
    indices, _ = find_indices(curve, NAMES[: len(curve)])
    assert indices == expected
    zone = paper_zone(curve, NAMES[: len(curve)])
    assert zone.indicated == tuple(NAMES[index] for index in expected)
    assert zone.first == NAMES[expected[0]]
    assert zone.cuts == NAMES[expected[0] : len(curve)]


def test_a_curve_that_only_rises_still_has_an_index_and_says_so() -> None:
    zone = paper_zone([1.0, 3.0, 4.0], NAMES[:3])
    assert zone.first == "c"
    assert any("falls nowhere" in reason for reason in zone.reasons)


@pytest.mark.parametrize("curve", [[], [1.0], [1.0, None, 0.5]])
def test_where_the_rule_cannot_be_applied_it_says_why(curve: list[float | None]) -> None:
    zone = paper_zone(curve, NAMES[: len(curve)])
    assert not zone.decided
    assert zone.first is None
    assert zone.reasons


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=7))
def test_the_first_index_is_after_the_largest_drop(curve: list[float]) -> None:
    (first, *second), _ = find_indices(curve, NAMES[: len(curve)])
    ratios = [after / before for before, after in pairwise(curve)]
    assert ratios[first - 1] == pytest.approx(min(ratios))
    assert len(second) <= 1
