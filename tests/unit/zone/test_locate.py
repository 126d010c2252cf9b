"""The default rule: where it points, how sure it is, and what it must not depend on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldcut.probe.dependence import IMAGES
from goldcut.probe.profile import Profile
from goldcut.records import CutProfile, SampleCounts, Zone
from goldcut.zone.locate import STATISTIC, THRESHOLD, first_below, locate_zone, recommend


def profile(
    curve: Sequence[float | None], folds: Sequence[Sequence[float]] | None = None, images: int = IMAGES
) -> Profile:
    """Cuts a, b, ... and the output, with this dependence on the image."""
    rows = tuple(
        CutProfile(
            name="output" if place == len(curve) - 1 else "abcdefgh"[place],
            shape=(8,),
            kind="vector",
            elements=8,
            level="output" if place == len(curve) - 1 else "block",
            edge_params=0,
            cloud_params=0,
            edge_flops=place,
            cloud_flops=0,
            payload_bytes=32,
            radius_sq=1,
            total_variance=2,
            within_share=0.5,
            within_share_standardised=0.5,
            image_dependence=value,
            image_dependence_images=images,
            radius_sq_per_element=0.1,
            samples_per_class=SampleCounts(classes=2, fewest=2, median=2, most=2),
        )
        for place, value in enumerate(curve)
    )
    return Profile(rows=rows, folds={} if folds is None else {STATISTIC: np.array(folds)})


@pytest.mark.parametrize(
    ("curve", "cuts"),
    [
        ([0.9, 0.8, 0.5, 0.3, 0.1], "cd"),
        ([0.9, 0.5, 0.8, 0.3, 0.1], "d"),
        ([0.9, 0.8, THRESHOLD, 0.3, 0.1], "cd"),
        ([0.5, 0.4, 0.3, 0.2, 0.1], "abcd"),
        ([0.9, 0.8, 0.8, 0.7, 0.1], ""),
        ([0.9, 0.8, 0.5, 0.4, 0.7], ""),
    ],
)
def test_the_zone_starts_where_the_dependence_stays_low(curve: list[float], cuts: str) -> None:
    zone = locate_zone(profile(curve))
    assert zone.cuts == tuple(cuts)
    assert zone.first == (cuts[0] if cuts else None)
    assert zone.decided
    assert zone.confidence is None
    assert "output" not in zone.cuts
    assert any("never a proof" in reason for reason in zone.reasons)
    assert zone.reasons[0].startswith("No zone" if not cuts else "From")


def test_confidence_is_the_share_of_folds_that_agree() -> None:
    curve = [0.9, 0.62, 0.5, 0.1]
    agreeing, other, none = curve, [0.9, 0.59, 0.5, 0.1], [0.9, 0.8, 0.7, 0.1]
    assert locate_zone(profile(curve, [agreeing] * 7 + [other] * 3)).confidence == pytest.approx(0.7)
    assert locate_zone(profile(none, [agreeing] * 1 + [none] * 9)).confidence == pytest.approx(0.9)


def test_fewer_images_than_it_was_judged_with_are_said() -> None:
    assert "may be missed" not in " ".join(locate_zone(profile([0.9, 0.5, 0.3, 0.1])).reasons)
    assert "from 100 images" in " ".join(locate_zone(profile([0.9, 0.5, 0.3, 0.1], images=100)).reasons)


def test_where_a_cut_does_not_vary_nothing_is_decided() -> None:
    zone = locate_zone(profile([0.9, None, 0.3, 0.1]))
    assert not zone.decided
    assert zone.reasons == ("Z does not vary at b.",)


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
