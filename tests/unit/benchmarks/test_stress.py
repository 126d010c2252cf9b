"""What the stress test computes, on figures worked by hand."""

import sys
from pathlib import Path

import pytest

from goldcut.records import AttackResult

sys.path.insert(0, str(Path(__file__).parents[3]))

from benchmarks.stress import compare, tabulate


def results(cut: str, **errors: float) -> dict[str, AttackResult]:
    return {
        name.replace("_", "-"): AttackResult(
            cut=cut,
            attack=name.replace("_", "-"),
            mse=mse,
            mse_channel_sum=3 * mse,
            psnr=0.0,
            recovered=0.0,
            selection_mse=mse,
            converged=True,
            seconds=1.0,
        )
        for name, mse in errors.items()
    }


FEATURE = results("a", deconv=0.018, deconv_se=0.012, deconv_lsk=0.0135)
DECISION = results("b", deconv=0.057, deconv_se=0.054, deconv_lsk=0.0513)


def test_stronger_is_the_mean_over_the_enhanced_of_one_minus_the_ratio():
    found = compare(FEATURE, DECISION)
    assert found["plain_decision_to_feature"] == pytest.approx(57 / 18, abs=1e-3)
    expected = 100 * (1 - 0.012 / 0.054 + 1 - 0.0135 / 0.0513) / 2
    assert found["stronger_percent"] == pytest.approx(expected, abs=0.05)


def test_less_lost_compares_what_enhancements_take_away():
    found = compare(FEATURE, DECISION)
    feature, decision = (1 / 3 + 1 / 4) / 2, (3 / 57 + 5.7 / 57) / 2
    assert found["mean_enhanced_to_plain_at_feature"] == pytest.approx(1 - feature, abs=1e-3)
    assert found["mean_enhanced_to_plain_at_decision"] == pytest.approx(1 - decision, abs=1e-3)
    assert found["less_lost_percent"] == pytest.approx(100 * (1 - decision / feature), abs=0.05)


def test_the_best_at_each_cut_may_be_another_attacker():
    found = compare(FEATURE, DECISION)
    assert (found["best_at_feature"], found["best_at_decision"]) == ("deconv-se", "deconv-lsk")
    assert found["best_decision_to_feature"] == pytest.approx(0.0513 / 0.012, abs=1e-3)


def test_enhancements_that_do_not_help_leave_nothing_to_compare():
    assert compare(results("a", deconv=0.01, deconv_se=0.02), DECISION)["less_lost_percent"] is None


def test_the_table_has_a_row_for_each_attack_at_both_cuts():
    rows = tabulate(FEATURE, DECISION).splitlines()
    assert [row.split()[0] for row in rows] == ["attack", "deconv", "deconv-se", "deconv-lsk"]
    assert rows[2].split()[1:] == ["0.01200", "0.0360", "0.667", "0.05400", "0.1620", "0.947", "4.50"]
