"""The zone as attacks find it, worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldcut.zone.post_hoc import post_hoc_zone

NAMES = ("a", "b", "c", "d", "output")
SURE = [True] * 5


@pytest.mark.parametrize(
    ("worst", "share", "cuts"),
    [
        # m = .1: half of the lead .8 is .4, so the level is .5
        ([0.9, 0.8, 0.5, 0.4, 0.2], 0.5, "cd"),
        # a quarter: the level is .3
        ([0.9, 0.8, 0.5, 0.4, 0.2], 0.25, ""),
        ([0.9, 0.8, 0.3, 0.2, 0.1], 0.25, "cd"),
        # "from which on": c is below, d above again
        ([0.9, 0.8, 0.4, 0.6, 0.2], 0.5, ""),
        # never falls
        ([0.9, 0.9, 0.9, 0.9, 0.9], 0.5, ""),
        # cuts not attacked before the last one above do not matter, nor those after one below
        ([0.9, None, 0.8, 0.3, None], 0.5, "d"),
        ([0.9, 0.3, None, 0.2, 0.1], 0.5, "bcd"),
    ],
)
def test_worked_curves(worst: list[float | None], share: float, cuts: str) -> None:
    zone = post_hoc_zone(worst, 0.1, SURE, NAMES, share)
    assert zone.decided
    assert zone.cuts == tuple(cuts)
    assert zone.first == (cuts[0] if cuts else None)
    assert zone.rule == {0.5: "post_hoc_half", 0.25: "post_hoc_quarter"}[share]
    assert zone.reasons


@pytest.mark.parametrize(
    ("worst", "class_mean", "unsure", "reason"),
    [
        ([None, 0.8, 0.3, 0.2, 0.1], 0.1, "", "first cut, a, was not attacked"),
        ([0.9, 0.8, 0.3, 0.2, 0.1], None, "", "class mean"),
        ([0.7, 0.6, 0.5, 0.2, 0.1], 0.1, "a", "at the first cut, a, had not converged"),
        ([0.9, 0.8, 0.3, 0.2, 0.1], 0.1, "c", "attack at c had not converged"),
        ([0.9, 0.8, 0.3, 0.2, 0.1], 0.1, "d", "attack at d had not converged"),
        ([0.9, 0.8, None, 0.2, 0.1], 0.1, "", "c was not attacked"),
        ([0.9, 0.8, None, None, None], 0.1, "", "c, d, output was not attacked"),
        ([0.1, 0.1, 0.1, 0.1, 0.1], 0.3, "", "no more than the class mean"),
        ([], 0.1, "", "was not attacked"),
    ],
)
def test_what_is_not_known_is_not_decided(
    worst: list[float | None], class_mean: float | None, unsure: str, reason: str
) -> None:
    names = NAMES[: len(worst)]
    zone = post_hoc_zone(worst, class_mean, [name not in unsure for name in names], names)
    assert not zone.decided
    assert zone.first is None
    assert zone.cuts == ()
    assert reason in " ".join(zone.reasons)


def test_without_convergence_a_cut_above_the_level_is_above_it_all_the_same() -> None:
    zone = post_hoc_zone([0.9, 0.8, 0.3, 0.2, 0.1], 0.1, [True, False, True, True, True], NAMES)
    assert zone.decided
    assert zone.first == "c"


@given(
    worst=st.lists(st.floats(0, 1), min_size=5, max_size=5),
    class_mean=st.floats(0, 0.3),
    scale=st.floats(0.1, 0.9),
)
def test_the_quarter_zone_lies_inside_the_half_zone_and_the_definition_holds(
    worst: list[float], class_mean: float, scale: float
) -> None:
    half, quarter = (post_hoc_zone(worst, class_mean, SURE, NAMES, share) for share in (0.5, 0.25))
    assert set(quarter.cuts) <= set(half.cuts)
    if not half.decided:
        assert worst[0] <= class_mean
        return
    lead = worst[0] - class_mean
    holds = [all(r <= class_mean + 0.5 * lead for r in worst[k:]) for k in range(4)]
    assert half.first == next((NAMES[k] for k in range(4) if holds[k]), None)


def test_a_first_cut_still_improving_decides_where_a_perfect_one_would_say_the_same() -> None:
    worst = [0.9, 0.8, 0.3, 0.2, 0.1]
    sure, unsure = (post_hoc_zone(worst, 0.1, [flat, True, True, True, True], NAMES) for flat in (True, False))
    assert unsure.decided
    assert unsure.cuts == sure.cuts == ("c", "d")
