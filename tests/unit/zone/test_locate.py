"""The default rule: where it points, how sure it is, and what it must not depend on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldcut.probe.profile import Profile
from goldcut.records import CutProfile, SampleCounts, Zone
from goldcut.zone.locate import STATISTIC, THRESHOLD, first_below, locate_zone, recommend


def profile(shares: Sequence[float], folds: Sequence[Sequence[float]] | None = None) -> Profile:
    """Cuts a, b, ... and the output, with these shares."""
    rows = tuple(
        CutProfile(
            name="output" if place == len(shares) - 1 else "abcdefgh"[place],
            shape=(8,),
            kind="vector",
            elements=8,
            level="output" if place == len(shares) - 1 else "block",
            edge_params=0,
            cloud_params=0,
            edge_flops=place,
            cloud_flops=0,
            payload_bytes=32,
            radius_sq=1,
            total_variance=2,
            within_share=0.5,
            within_share_standardised=share,
            radius_sq_per_element=0.1,
            samples_per_class=SampleCounts(classes=2, fewest=2, median=2, most=2),
        )
        for place, share in enumerate(shares)
    )
    return Profile(rows=rows, folds={} if folds is None else {STATISTIC: np.array(folds)})


@pytest.mark.parametrize(
    ("shares", "cuts"),
    [
        ([0.9, 0.8, 0.5, 0.3, 0.1], "cd"),
        ([0.9, 0.5, 0.8, 0.3, 0.1], "d"),
        ([0.9, 0.8, THRESHOLD, 0.3, 0.1], "cd"),
        ([0.5, 0.4, 0.3, 0.2, 0.1], "abcd"),
        ([0.9, 0.8, 0.8, 0.7, 0.1], ""),
        ([0.9, 0.8, 0.5, 0.4, 0.7], ""),
    ],
)
def test_the_zone_starts_where_the_share_stays_low(shares: list[float], cuts: str) -> None:
    zone = locate_zone(profile(shares))
    assert zone.cuts == tuple(cuts)
    assert zone.first == (cuts[0] if cuts else None)
    assert zone.decided
    assert zone.confidence is None
    assert "output" not in zone.cuts
    assert any("provisional" in reason and "never a proof" in reason for reason in zone.reasons)
    assert zone.reasons[0].startswith("No zone" if not cuts else "From")


def test_confidence_is_the_share_of_folds_that_agree() -> None:
    curve = [0.9, 0.62, 0.5, 0.1]
    agreeing, other, none = curve, [0.9, 0.59, 0.5, 0.1], [0.9, 0.8, 0.7, 0.1]
    assert locate_zone(profile(curve, [agreeing] * 7 + [other] * 3)).confidence == pytest.approx(0.7)
    assert locate_zone(profile(none, [agreeing] * 1 + [none] * 9)).confidence == pytest.approx(0.9)


def test_few_images_a_class_are_no_zone_of_their_own() -> None:
    unaware = profile([0.5, 0.5, 0.49, 0.5])
    assert locate_zone(unaware).cuts == ("a", "b", "c")
    scarce = replace(unaware, chance_share=(0.5,) * 11)
    assert locate_zone(scarce).first is None
    assert "knows nothing" in " ".join(locate_zone(scarce).reasons)
    assert locate_zone(replace(profile([0.5, 0.5, 0.3, 0.1]), chance_share=(0.5,) * 11)).first == "c"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.data())
def test_leaving_candidates_out_keeps_the_zone_among_those_that_stay(curve: list[float], data: st.DataObject) -> None:
    start = first_below(np.array(curve), THRESHOLD)
    kept = sorted(data.draw(st.sets(st.integers(start, len(curve) - 1)) if start < len(curve) else st.just(set())))
    before = list(range(start))
    found = first_below(np.array(curve)[before + kept], THRESHOLD)
    assert found == len(before)


def test_the_recommended_cut_is_the_cheapest_of_the_zone() -> None:
    rows = profile([0.9, 0.5, 0.4, 0.3, 0.1]).rows
    zone = Zone(rule="default", first="b", cuts=("b", "c", "d"))
    assert recommend(zone, rows) == "b"
    assert recommend(Zone(rule="default"), rows) is None


def test_ties_go_to_the_smaller_payload() -> None:
    rows = profile([0.9, 0.5, 0.4, 0.1]).rows
    rows = (rows[0], replace(rows[1], edge_flops=7, payload_bytes=90), replace(rows[2], edge_flops=7, payload_bytes=40))
    assert recommend(Zone(rule="default", first="b", cuts=("b", "c")), rows) == "c"
