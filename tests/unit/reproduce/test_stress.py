"""What the stress test computes, on figures worked by hand."""

import pytest

from goldcut.reproduce.scale import SCALES
from goldcut.reproduce.stress import answer, attacked, compare
from reproduce_samples import made_attack, made_result

SCALE = SCALES["cpu"]


def results(cut, **errors):
    return {name.replace("_", "-"): made_result(cut, name.replace("_", "-"), mse) for name, mse in errors.items()}


FEATURE = results("body.4", deconv=0.018, deconv_se=0.012, deconv_lsk=0.0135)
DECISION = results("head.flatten", deconv=0.057, deconv_se=0.054, deconv_lsk=0.0513)


def test_stronger_is_the_mean_over_the_enhanced_of_one_minus_the_ratio():
    found = compare(FEATURE, DECISION)
    assert found.plain == pytest.approx(57 / 18)
    assert found.stronger_percent == pytest.approx(100 * (1 - 0.012 / 0.054 + 1 - 0.0135 / 0.0513) / 2)


def test_less_lost_compares_what_enhancements_take_away():
    feature, decision = (1 / 3 + 1 / 4) / 2, (3 / 57 + 5.7 / 57) / 2
    assert compare(FEATURE, DECISION).less_lost_percent == pytest.approx(100 * (1 - decision / feature))


def test_enhancements_that_do_not_help_leave_nothing_to_compare():
    assert compare(results("a", deconv=0.01, deconv_se=0.02), DECISION).less_lost_percent is None


def verdicts(feature, decision):
    records = {
        attacked(cut): made_attack(*at.values()) for cut, at in (("body.4", feature), ("head.flatten", decision))
    }
    found = answer(SCALE, records)
    return {claim.id: claim.verdict for claim in found.claims}, found.rows


def test_a_gap_that_every_enhancement_widens_holds():
    found, rows = verdicts(FEATURE, DECISION)
    assert found["enhanced-direction"] == "holds"
    assert found["enhanced-ratio"] == found["stronger"] == "not testable at this scale"
    assert [row["attack"] for row in rows] == ["deconv", "deconv-se", "deconv-lsk"]
    assert rows[1]["ratio"] == pytest.approx(4.5)
    assert rows[1]["feature_to_plain"] == pytest.approx(2 / 3)


def test_a_gap_that_every_enhancement_closes_does_not_hold():
    closed = results("head.flatten", deconv=0.057, deconv_se=0.02, deconv_lsk=0.02)
    assert verdicts(FEATURE, closed)[0]["enhanced-direction"] == "does not hold"


def test_the_plain_attacker_alone_is_no_stress_test():
    found, rows = verdicts(results("body.4", deconv=0.02), results("head.flatten", deconv=0.05))
    assert found["enhanced-direction"] == "not run"
    assert len(rows) == 1
