"""Every figure of a score sheet is declared."""

from goldcut.metrics.table import METRICS
from goldcut.records import AttackResult, Scores


def test_every_score_has_a_direction_a_unit_and_bounds():
    figures = {
        name
        for name in Scores.__dataclass_fields__
        if not name.endswith(("_low", "_high")) and name != "identification_victims"
    }
    assert figures <= set(METRICS) <= set(AttackResult.__dataclass_fields__)
    assert all(metric.low < metric.high and metric.unit for metric in METRICS.values())
