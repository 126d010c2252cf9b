"""Figure specs: plain data that plotly can draw, with every figure in its place."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import report_samples as samples
from goldcut.cost.link import LINKS, transfer_seconds
from goldcut.report import charts, figures
from goldcut.report.tradeoff import tradeoff_charts

SCAN, ATTACK = samples.resnet_scan(), samples.resnet_attack()
SHOWN = figures.bands(SCAN, ATTACK)


def trace(chart: charts.Chart, name: str) -> dict[str, Any]:
    return next(trace for trace in chart.figure["data"] if trace["name"] == name)


def test_every_chart_is_strict_json_with_titles_on_both_axes() -> None:
    identification = charts.identification_chart(SCAN, ATTACK, SHOWN)
    assert identification
    made = [
        *charts.statistics_charts(SCAN, SHOWN),
        charts.recovered_chart(SCAN, ATTACK, SHOWN),
        identification,
        *tradeoff_charts(SCAN, ATTACK, tuple(LINKS.values())),
        *charts.cost_charts(SCAN, SHOWN),
    ]
    assert len({chart.id for chart in made}) == len(made)
    for chart in made:
        json.dumps(chart.figure, allow_nan=False)
        assert chart.title
        assert chart.alt
        assert chart.figure["layout"]["xaxis"]["title"]["text"]
        assert chart.figure["layout"]["yaxis"]["title"]["text"]
        for drawn in chart.figure["data"]:
            assert drawn["type"] == "scatter"
            assert len(drawn["x"]) == len(drawn["y"])


def test_error_bars_end_at_the_limits_of_the_record() -> None:
    chart = next(chart for chart in charts.statistics_charts(SCAN, SHOWN) if chart.id == "within-share")
    curve = trace(chart, "within_share")
    assert curve["y"] == [cut.within_share for cut in SCAN.cuts]
    highs = [y + up for y, up in zip(curve["y"], curve["error_y"]["array"], strict=True)]
    lows = [y - down for y, down in zip(curve["y"], curve["error_y"]["arrayminus"], strict=True)]
    assert highs == pytest.approx([cut.within_share_high for cut in SCAN.cuts])
    assert lows == pytest.approx([cut.within_share_low for cut in SCAN.cuts])


def test_figures_that_are_missing_leave_gaps_and_no_chart_is_made_of_nothing() -> None:
    cuts = tuple(replace(cut, effective_rank=None, information=(), within_share_low=None) for cut in SCAN.cuts)
    made = {chart.id: chart for chart in charts.statistics_charts(replace(SCAN, cuts=cuts), SHOWN)}
    assert "effective_rank" not in made
    assert "information" not in made
    assert trace(made["within-share"], "within_share")["error_y"]["arrayminus"] == [None] * len(cuts)


def test_hollow_marks_are_attacks_that_did_not_converge() -> None:
    attack = samples.incomplete_attack()
    chart = charts.recovered_chart(SCAN, attack, figures.bands(SCAN, attack))
    assert trace(chart, "decoder-M")["marker"]["symbol"] == ["circle", "circle", "circle-open"]
    assert {drawn["name"] for drawn in chart.figure["data"]} == {"ridge", "decoder-S", "decoder-M", "mean image"}
    assert charts.identification_chart(SCAN, attack, SHOWN) is None


def test_baselines_and_chance_are_lines_over_all_cuts() -> None:
    recovered = charts.recovered_chart(SCAN, ATTACK, SHOWN)
    assert trace(recovered, "class mean")["y"] == [samples.CLASS_MEAN] * 2
    assert trace(recovered, "mean image")["y"] == [0, 0]
    identified = charts.identification_chart(SCAN, ATTACK, SHOWN)
    assert identified
    assert trace(identified, "chance (1 of 20)")["y"] == [0.05, 0.05]


def test_zones_are_ribbons_over_their_cuts() -> None:
    shapes = charts.recovered_chart(SCAN, ATTACK, SHOWN).figure["layout"]["shapes"]
    place = {cut.name: position for position, cut in enumerate(SCAN.cuts)}
    spans = {(shape["fillcolor"], shape["x0"], shape["x1"]) for shape in shapes}
    for band in SHOWN:
        assert (band.colour, place[band.zone.cuts[0]] - 0.5, place[band.zone.cuts[-1]] + 0.5) in spans
    vit = samples.vit_scan()
    assert charts.statistics_charts(vit, figures.bands(vit, None))[0].figure["layout"]["shapes"] == []


def test_unbeaten_cuts_are_marked_and_the_output_is_not() -> None:
    payload = next(c for c in tradeoff_charts(SCAN, ATTACK, tuple(LINKS.values())) if c.id == "tradeoff-payload")
    assert trace(payload, "not beaten")["x"] == [4 * 512 * 4 * 4]
    assert trace(payload, "output, never recommended")["x"] == [40]
    assert len(trace(payload, "beaten by another cut")["x"]) == 8


def test_times_are_the_links_own() -> None:
    links = tuple(LINKS.values())
    chart = next(c for c in tradeoff_charts(SCAN, ATTACK, links) if c.id == "tradeoff-time")
    for link in links:
        assert trace(chart, link.name)["x"] == [transfer_seconds(cut.payload_bytes, link) for cut in SCAN.cuts[:-1]]


def test_names_are_shown_as_they_are_and_stay_short_on_axes() -> None:
    chart = charts.statistics_charts(samples.hostile_scan(), SHOWN)[0]
    label = chart.figure["layout"]["xaxis"]["ticktext"][0]
    assert "<" not in label
    assert "<a" not in json.dumps(chart.figure)
    assert len(figures.shorten("features.denseblock4.denselayer16.conv2/add")) == 23


@given(st.lists(st.booleans(), max_size=30))
def test_runs_cover_exactly_the_places(marks: list[bool]) -> None:
    places = [place for place, mark in enumerate(marks) if mark]
    runs = figures._runs(places)
    assert [place for first, last in runs for place in range(first, last + 1)] == places
    assert all(after[0] > before[1] + 1 for before, after in pairwise(runs))


@given(st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=20))
def test_logarithmic_axes_hold_all_values_and_a_tick(values: list[float]) -> None:
    axis = figures.log_axis("x", values, str)
    low, high = (10**limit for limit in axis["range"])
    assert low <= min(values)
    assert max(values) <= high
    assert len(axis["tickvals"]) == len(axis["ticktext"]) <= 60
