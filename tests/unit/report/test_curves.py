"""Charts of the attacker along its axes."""

from dataclasses import replace

import report_samples as samples
from goldcut.records import SweepPoint
from goldcut.report.curves import attacker_charts


def test_one_attacker_makes_no_chart() -> None:
    attack = samples.resnet_attack()
    assert attacker_charts(samples.resnet_scan(), attack, ()) == []
    assert (
        attacker_charts(samples.resnet_scan(), replace(attack, worst_by_knowledge={"queries": attack.worst}), ()) == []
    )


def test_each_level_of_knowledge_is_a_curve_over_the_cuts() -> None:
    attack = samples.resnet_attack()
    halved = tuple(replace(one, recovered=one.recovered / 2) for one in attack.worst[2:])
    levels = {"architecture": halved, "queries": attack.worst}
    (chart,) = attacker_charts(samples.resnet_scan(), replace(attack, worst_by_knowledge=levels), ())
    weak, strong = chart.figure["data"]
    assert (weak["name"], strong["name"]) == ("architecture", "queries")
    assert weak["x"] == strong["x"][2:]
    assert weak["y"] == [value / 2 for value in strong["y"][2:]]
    assert "Queries: it can run the device's half" in chart.caption


def point(cut: str, images: int, queries: int, recovered: float) -> SweepPoint:
    return SweepPoint(
        cut=cut, training_images=images, queries=queries, attack="ridge", recovered=recovered, converged=images > 500
    )


def test_the_sweep_is_a_curve_for_each_cut_and_for_each_axis() -> None:
    points = (
        point("layer4.0", 300, 4, 0.1),
        point("layer4.0", 9000, 4, 0.3),
        point("layer4.0", 9000, 1, 0.2),
        point("bn1", 300, 4, 0.8),
        point("bn1", 9000, 4, 0.9),
        point("bn1", 9000, 1, 0.85),
    )
    charts = attacker_charts(samples.resnet_scan(), samples.resnet_attack(sweep=points), ())
    images, queries = (chart.figure["data"] for chart in charts)
    assert [curve["name"] for curve in images] == ["bn1", "layer4.0"]  # in the order of the network
    assert (images[1]["x"], images[1]["y"]) == ([300, 9000], [0.1, 0.3])
    assert (queries[1]["x"], queries[1]["y"]) == ([1, 4], [0.2, 0.3])
    assert images[0]["marker"]["symbol"] == ["circle-open", "circle"]
