"""Runs side by side."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import report_samples as samples
from goldcut.errors import RunError
from goldcut.report.compare import compare_runs, merge_orders


def test_cuts_are_matched_by_name_and_gaps_stay_gaps(tmp_path: Path) -> None:
    scan, attack = samples.resnet_scan(), samples.resnet_attack()
    before = samples.write_run(tmp_path / "before", scan, attack, gallery=False)
    fewer = replace(scan, cuts=scan.cuts[1:], data=replace(scan.data, sha256="other"), labels="predicted")
    after = samples.write_run(tmp_path / "after", fewer, samples.incomplete_attack(), gallery=False)
    comparison = compare_runs([before, after])
    rows = {row.cut: row.readings for row in comparison.cuts}
    assert list(rows) == [cut.name for cut in scan.cuts]
    assert rows["bn1"][1] is None
    old, new = rows["layer4.0"]
    assert old
    assert new
    assert old.recovered == attack.worst[7].recovered
    assert (old.converged, new.converged) == (True, False)
    assert rows["layer4.1"][1] is not None
    assert rows["layer4.1"][1].recovered is None
    assert [run.zone_post_hoc for run in comparison.runs] == ["layer4.0", None]
    notes = " ".join(comparison.notes)
    assert "same model and weights" in notes
    assert "different images" in notes
    assert "different labels" in notes
    assert "still improving" in notes


def test_what_is_equal_is_not_noted(tmp_path: Path) -> None:
    scan, attack = samples.resnet_scan(), samples.resnet_attack()
    other = replace(scan, model=replace(scan.model, sha256="other"))
    runs = [
        samples.write_run(tmp_path / str(turn), each, attack, gallery=False) for turn, each in enumerate((scan, other))
    ]
    assert compare_runs(runs).notes == ()


def test_takes_two_runs_at_least(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="at least two"):
        compare_runs([tmp_path])


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=4))
def test_merged_order_has_every_name_once_and_keeps_the_first_order(orders: list[list[str]]) -> None:
    merged = merge_orders(orders)
    assert sorted(merged) == sorted({name for order in orders for name in order})
    if orders:
        assert [name for name in merged if name in orders[0]] == orders[0]
