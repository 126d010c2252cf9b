"""The gate fails whenever it is not sure."""

from dataclasses import replace

import pytest

from goldcut.errors import GoldcutError
from goldcut.study.gate import judge, parse_gate
from report_samples import resnet_attack, resnet_scan

SCAN, ATTACK = resnet_scan(), resnet_attack()
CUT = SCAN.recommended
RESULTS = [result for result in ATTACK.results if result.cut == CUT]
UPPER = max(result.recovered_high for result in RESULTS)


def sure(attack):
    """The same attack with every result converged."""
    return replace(attack, results=tuple(replace(result, converged=True) for result in attack.results), failed=())


@pytest.mark.parametrize("text", ["recovered < 0.2", "mse > 0.1", "recovered > much", "", "recovered>0.2; rm"])
def test_other_conditions_are_refused(text):
    with pytest.raises(GoldcutError, match="no condition"):
        parse_gate(text)


def test_it_tests_the_upper_limit_not_the_figure():
    worst = max(RESULTS, key=lambda result: result.recovered)
    between = (worst.recovered + worst.recovered_high) / 2
    assert not judge(parse_gate(f"recovered > {between:.6f}"), "recommended", SCAN, sure(ATTACK)).passed
    assert judge(parse_gate(f"recovered > {UPPER + 0.01:.6f}"), "recommended", SCAN, sure(ATTACK)).passed


def test_a_result_that_did_not_converge_fails():
    attack = replace(ATTACK, results=tuple(replace(result, converged=False) for result in ATTACK.results), failed=())
    judgement = judge(parse_gate("recovered > 0.99"), CUT, SCAN, attack)
    assert not judgement.passed
    assert "did not converge" in judgement.reason


def test_missing_failed_and_incomplete_fail():
    gate = parse_gate("recovered > 0.99")
    none = replace(sure(ATTACK), results=())
    assert "not attacked" in judge(gate, CUT, SCAN, none).reason
    assert "not attacked" in judge(gate, CUT, SCAN, replace(sure(ATTACK), complete=False)).reason
    assert "no cut is recommended" in judge(gate, "recommended", replace(SCAN, recommended=None), ATTACK).reason
