"""Cuts with and without a defence on one scale."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import report_samples as samples
from goldcut.errors import RunError
from goldcut.report.points import LOSSES, Point, compare_points, match_accuracy, points_of_runs
from goldcut.report.sheet import render_points

SHARE = st.floats(0, 1).map(lambda value: round(value, 3))


@st.composite
def single_points(draw):
    return Point(
        group=draw(st.sampled_from(["a", "b"])),
        defense=draw(st.sampled_from(["none", "noise:1", "topk:0.1"])),
        cut=draw(st.sampled_from(["early", "late"])),
        place=0,
        in_zone=draw(st.booleans()),
        accuracy=draw(SHARE),
        accuracy_undefended=0.9,
        recovered=draw(SHARE),
        recovered_low=None,
        recovered_high=None,
        attack="ridge",
        converged=draw(st.booleans()),
        payload_bytes=draw(st.integers(1, 5)),
        edge_flops=draw(st.integers(1, 5)),
        edge_share=0.5,
    )


POINTS = st.lists(single_points(), max_size=12)


@settings(deadline=None, max_examples=50)
@given(POINTS)
def test_every_repetition_is_in_one_point_and_the_mean_lies_within_its_range(single):
    points = compare_points(single)
    assert sum(point.repetitions for point in points) == len(single)
    assert len({(point.group, point.defense, point.cut) for point in points}) == len(points)
    for point in points:
        if point.repetitions > 1:
            assert point.recovered_low - 1e-9 <= point.recovered <= point.recovered_high + 1e-9


@settings(deadline=None, max_examples=50)
@given(POINTS)
def test_a_point_is_unbeaten_exactly_when_nothing_of_its_group_is_as_good_and_somewhere_better(single):
    points = compare_points(single)

    def price(one):
        return (one.recovered, -one.accuracy, one.payload_bytes, one.edge_flops)

    for point in points:
        rivals = [price(one) for one in points if one.group == point.group and price(one) != price(point)]
        beaten = any(all(a <= b for a, b in zip(rival, price(point), strict=True)) for rival in rivals)
        assert point.unbeaten == (not beaten)


@settings(deadline=None, max_examples=50)
@given(POINTS)
def test_giving_up_more_accuracy_never_leaks_more(single):
    matches = match_accuracy(compare_points(single))
    for group in {match.group for match in matches}:
        rows = [match.best for match in matches if match.group == group]
        assert [m.loss for m in matches if m.group == group] == list(LOSSES)
        for tighter, looser in pairwise(rows):
            for one, other in zip(tighter, looser, strict=True):
                assert one is None or (other is not None and other.recovered <= one.recovered)


def test_runs_of_one_model_are_one_group_and_a_run_without_attack_is_refused(tmp_path):
    scan, attack = samples.resnet_scan(), samples.resnet_attack()
    plain = samples.write_run(tmp_path / "plain", scan, attack)
    cuts = tuple(replace(cut, accuracy=0.5) for cut in scan.cuts)
    noisy = samples.write_run(tmp_path / "noisy", replace(scan, defense="noise:1", cuts=cuts), attack)
    points = compare_points(points_of_runs([plain, noisy]))
    assert len({point.group for point in points}) == 1
    assert {point.defense for point in points} == {"none", "noise:1"}
    assert {point.accuracy for point in points if point.defense == "noise:1"} == {0.5}
    assert "output" not in {point.cut for point in points}
    page = render_points("two runs", points, ["a <b>note</b>"])
    assert "a &lt;b&gt;note&lt;/b&gt;" in page
    with pytest.raises(RunError, match="has not been attacked"):
        points_of_runs([samples.write_run(tmp_path / "bare", scan, None)])
