"""The search over cuts: each limit refuses what it should, and the rest is compared."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import report_samples as samples
from goldcut.errors import DataError
from goldcut.records import Limits
from goldcut.report.recommend import recommend

SCAN, ATTACK = samples.resnet_scan(), samples.resnet_attack()
INNER = [cut for cut in SCAN.cuts if cut.level != "output"]


def test_without_limits_the_cheapest_cut_is_recommended():
    record = recommend(SCAN, ATTACK, Limits())
    assert [one.cut for one in record.candidates] == [cut.name for cut in INNER]
    assert record.recommended == min(INNER, key=lambda cut: cut.edge_flops).name


@settings(max_examples=50, deadline=None)
@given(
    recovered=st.none() | st.floats(0, 1),
    flops=st.none() | st.floats(1e6, 2e9),
    payload=st.none() | st.integers(1, 400_000),
)
def test_what_is_kept_keeps_every_limit_and_what_is_refused_does_not(recovered, flops, payload):
    record = recommend(SCAN, ATTACK, Limits(recovered=recovered, edge_flops=flops, payload=payload))
    settled = {one.cut: one.recovered_high if one.recovered_high is not None else one.recovered for one in ATTACK.worst}
    kept = [one for one in record.candidates if not one.refused]
    for one in record.candidates:
        broken = [
            recovered is not None and settled[one.cut] > recovered,
            flops is not None and one.edge_flops > flops,
            payload is not None and one.payload > payload,
        ]
        assert len(one.refused) >= sum(broken)
        assert bool(one.refused) or not any(broken)
    assert record.recommended == (min(kept, key=lambda one: one.edge_flops).cut if kept else None)
    assert all(not one.on_front for one in record.candidates if one.refused)
    for one in kept:
        rivals = [o for o in kept if o.recovered <= one.recovered and o.edge_flops <= one.edge_flops]
        rivals = [o for o in rivals if o.payload <= one.payload and o.cut != one.cut]
        better = [
            o for o in rivals if (o.recovered, o.edge_flops, o.payload) != (one.recovered, one.edge_flops, one.payload)
        ]
        assert one.on_front is not bool(better)


def test_a_limit_that_cannot_be_checked_is_not_kept():
    for attack in (None, samples.incomplete_attack()):
        record = recommend(SCAN, attack, Limits(recovered=1.0))
        attacked = {one.cut for one in attack.worst} if attack else set()
        assert len(attacked) < len(INNER)
        for one in record.candidates:
            assert ("it was not attacked" in one.refused) is (one.cut not in attacked)
    record = recommend(SCAN, ATTACK, Limits(edge_memory=10**12))
    assert all("--measure" in one.refused[0] for one in record.candidates)
    assert record.recommended is None


def test_an_attack_that_was_still_improving_is_refused():
    cut = INNER[-1].name
    open_ended = tuple(replace(one, converged=one.cut != cut) for one in ATTACK.results)
    record = recommend(SCAN, replace(ATTACK, results=open_ended), Limits(recovered=1.0))
    assert "still improving" in record.candidates[-1].refused[0]
    assert record.candidates[0].refused == ()


def test_memory_counts_weights_and_activations():
    cuts = tuple(replace(cut, edge_peak_bytes=1000) for cut in SCAN.cuts)
    record = recommend(replace(SCAN, cuts=cuts), ATTACK, Limits(edge_memory=4 * INNER[1].edge_params + 1000))
    assert [bool(one.refused) for one in record.candidates[:3]] == [False, False, True]


def test_the_time_is_that_of_the_link_and_of_both_halves_where_they_were_timed():
    cut = replace(INNER[0], edge_seconds=0.5, cloud_seconds=0.25, payload_bytes=1_250_000)
    record = recommend(replace(SCAN, cuts=(cut,)), ATTACK, Limits(link="10mbit,40ms", seconds=1.7))
    assert record.candidates[0].seconds == pytest.approx(1.79)
    assert "1.79" in record.candidates[0].refused[0]
    with pytest.raises(DataError, match="no link"):
        recommend(SCAN, ATTACK, Limits(link="fast"))
