"""The verdict in words: two witnesses, and no reassurance without the second."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import report_samples as samples
from goldcut.records import AttackRecord, Failure, ScanRecord, Zone
from goldcut.report.verdict import Verdict, reach_verdict

NAMES = [row[0] for row in samples.RESNET[:-1]]


def words(verdict: Verdict) -> str:
    return " ".join(verdict.lines()).replace("\N{NO-BREAK SPACE}", " ")


def post_hoc(first: str | None, *, decided: bool = True, rule: str = "post_hoc_half") -> Zone:
    return Zone(rule=rule, first=first, decided=decided, cuts=tuple(NAMES[NAMES.index(first) :]) if first else ())


def judged(first: str | None, quarter: str | None = None, *, decided: bool = True) -> AttackRecord:
    return samples.resnet_attack(
        zone_post_hoc=post_hoc(first, decided=decided),
        zone_post_hoc_quarter=post_hoc(quarter, decided=decided, rule="post_hoc_quarter"),
    )


def without_zone(scan: ScanRecord) -> ScanRecord:
    return replace(scan, zone=Zone(rule="default", reasons=("Nothing falls.",)), recommended=None)


def test_statistics_alone_are_no_evidence_of_safety() -> None:
    for scan in (samples.resnet_scan(), samples.vit_scan()):
        verdict = reach_verdict(scan)
        assert verdict.standing == "unattacked"
        assert verdict.tone == "unknown"
        assert "Not attacked: this is no evidence of safety" in verdict.headline
        assert "goldcut attack" in words(verdict)


def test_an_attack_record_without_results_is_no_attack() -> None:
    empty = samples.resnet_attack(results=(), worst=(), complete=False)
    assert reach_verdict(samples.resnet_scan(), empty).standing == "unattacked"


@pytest.mark.parametrize(
    ("first", "quarter", "standing", "tone"),
    [
        ("layer4.0", "layer4.0", "confirmed", "good"),
        ("layer3.0", "layer4.0", "confirmed", "good"),
        ("layer4.0", "layer4.1", "confirmed", "caution"),
        ("layer4.0", None, "confirmed", "caution"),
        ("layer4.1", "layer4.1", "refuted", "bad"),
        (None, None, "refuted", "bad"),
    ],
)
def test_the_attack_judges_the_recommended_cut(
    first: str | None, quarter: str | None, standing: str, tone: str
) -> None:
    verdict = reach_verdict(samples.resnet_scan(), judged(first, quarter))
    assert (verdict.standing, verdict.tone, verdict.cut) == (standing, tone, "layer4.0")


def test_what_the_figure_means_is_said_with_its_interval_and_the_class_mean() -> None:
    text = words(reach_verdict(samples.resnet_scan(), samples.resnet_attack()))
    assert (
        "An attacker with 15,000 images of the same distribution recovers 25 % (23–27 %) of the pixel variance" in text
    )
    assert "the class mean alone, without looking at Z, gives 13 %" in text
    assert "picks out the right one in 18 %" in text
    assert "58 % of the parameters (6.45 M)" in text
    assert "A quarter, the stricter mark, is reached only from layer4.1 on." in text


def test_a_split_that_leaves_the_cloud_nothing_is_called_so() -> None:
    scan = samples.resnet_scan()
    assert "next to nothing to compute" not in words(reach_verdict(scan))
    cuts = tuple(replace(cut, edge_flops=96, cloud_flops=4) for cut in scan.cuts)
    assert "leaves the cloud next to nothing to compute" in words(reach_verdict(replace(scan, cuts=cuts)))


def test_a_confirmed_zone_leads_with_what_still_leaks() -> None:
    attack = judged("layer4.0", "layer4.0")
    verdict = reach_verdict(samples.resnet_scan(), attack)
    assert words(verdict).startswith("At layer4.0, inside the zone, attacks still recover 25 % of the pixel variance")
    assert "single out the right image of 20 in 18 % of the cases" in words(verdict)
    assert "The attack confirms the zone at layer4.0: from layer4.0 on" in words(verdict)
    named = tuple(replace(one, identification=0.8) for one in attack.results)
    assert reach_verdict(samples.resnet_scan(), replace(attack, results=named)).tone == "caution"


def test_cuts_that_the_pointer_takes_in_and_the_attack_does_not_are_refuted_by_name() -> None:
    scan = samples.resnet_scan()
    early = replace(scan, zone=replace(scan.zone, first="layer3.1", cuts=("layer3.1", *scan.zone.cuts)))
    text = words(reach_verdict(early, judged("layer4.0", "layer4.0")))
    assert "It refutes layer3.1 (" in text
    assert "recovered), which the default rule takes in as well." in text
    assert "It refutes" not in words(reach_verdict(scan, judged("layer4.0", "layer4.0")))


def leaking(name: str, recovered: float) -> AttackRecord:
    """An attack that has not decided, with so much recovered at one cut."""
    attack = judged(None, decided=False)
    worst = tuple(replace(one, recovered=recovered) if one.cut == name else one for one in attack.worst)
    return replace(attack, worst=worst)


def test_what_no_better_attack_can_take_back_is_refuted_before_anything_is_decided() -> None:
    scan, mean = samples.resnet_scan(), samples.resnet_attack().baselines.class_mean
    assert mean is not None
    above, below = (1 + mean.recovered) / 2 + 0.01, (1 + mean.recovered) / 2 - 0.01
    assert reach_verdict(scan, leaking("layer4.0", below)).standing == "open"
    verdict = reach_verdict(scan, leaking("layer4.0", above))
    assert (verdict.standing, verdict.tone) == ("refuted", "bad")
    assert "Do not rely on layer4.0" in verdict.headline
    assert "a better one only recovers more. Where a zone begins instead it cannot tell yet" in words(verdict)
    assert "to see whether another cut does better" in words(verdict)
    assert "no choice of cut alone" not in words(verdict)
    assert reach_verdict(scan, leaking("layer4.1", above)).standing == "refuted"
    unlabelled = leaking("layer4.0", above)
    unlabelled = replace(unlabelled, baselines=replace(unlabelled.baselines, class_mean=None))
    assert reach_verdict(scan, unlabelled).standing == "open"


def test_a_cut_of_the_zone_that_leaks_is_named_while_the_recommended_one_is_open() -> None:
    scan = samples.resnet_scan()
    early = replace(scan, zone=replace(scan.zone, first="layer3.1", cuts=("layer3.1", *scan.zone.cuts)))
    verdict = reach_verdict(early, leaking("layer3.1", 0.9))
    assert verdict.standing == "open"
    assert "The attack refutes layer3.1 (90 % recovered) and what lies before" in words(verdict)
    assert "cannot judge the rest of the zone yet" in words(verdict)


def test_what_weaker_attackers_get_is_said_where_several_were_tried() -> None:
    attack = samples.resnet_attack()
    halved = tuple(replace(one, attack="shadow", recovered=one.recovered / 2) for one in attack.worst)
    both = replace(attack, worst_by_knowledge={"none": halved, "queries": attack.worst})
    found = words(reach_verdict(samples.resnet_scan(), both))
    assert "By what the attacker knows: 12 % knowing nothing of the edge (shadow), 25 % with its answers" in found
    one = replace(attack, worst_by_knowledge={"queries": attack.worst})
    assert "By what the attacker knows" not in words(reach_verdict(samples.resnet_scan(), one))


def test_an_earlier_cut_that_would_do_is_named_with_its_price() -> None:
    text = words(reach_verdict(samples.resnet_scan(), judged("layer3.0", "layer3.0")))
    assert "cutting at layer3.0 needs 62 % instead of 86 % of the FLOPs" in text


def test_no_zone_says_what_now() -> None:
    verdict = reach_verdict(samples.vit_scan(), samples.vit_attack())
    assert (verdict.standing, verdict.tone, verdict.cut) == ("no_zone", "bad", "blocks.5")
    assert "leaks least is blocks.5: 88 % recovered" in " ".join(verdict.advice).replace("\N{NO-BREAK SPACE}", " ")
    assert any("noise" in sentence for sentence in verdict.advice)
    assert any("tokens" in sentence for sentence in verdict.findings)


def test_a_zone_that_only_the_attack_sees_is_a_candidate() -> None:
    verdict = reach_verdict(without_zone(samples.resnet_scan()), judged("layer4.0", "layer4.0"))
    assert (verdict.standing, verdict.tone, verdict.cut) == ("missed", "caution", "layer4.0")
    assert verdict.headline.startswith(
        "The statistics show no zone. Attacks weaken from layer4.0 on; there they still recover "
    )


def test_an_unfinished_attack_decides_nothing_and_says_what_is_missing() -> None:
    verdict = reach_verdict(samples.resnet_scan(), samples.incomplete_attack())
    assert (verdict.standing, verdict.tone) == ("open", "unknown")
    cautions = " ".join(verdict.cautions)
    assert "not finished" in cautions
    assert "Not attacked, so nothing is known of what leaks there: bn1, layer1.0" in cautions
    assert "the strongest attack at layer4.0" in cautions
    assert "decoder-S at layer1.1" in cautions


def test_an_attack_that_left_the_recommended_cut_out_decides_nothing() -> None:
    attack = samples.resnet_attack()
    attack = replace(attack, worst=tuple(worst for worst in attack.worst if worst.cut != "layer4.0"))
    verdict = reach_verdict(samples.resnet_scan(), attack)
    assert verdict.standing == "open"
    assert "layer4.0 itself was not attacked." in words(verdict)


def test_a_failed_or_unconverged_attack_at_the_recommended_cut_confirms_nothing() -> None:
    scan, attack = samples.resnet_scan(), judged("layer4.0", "layer4.0")
    failed = replace(attack, failed=(Failure(cut="layer4.0", attack="decoder-L", reason="out of memory."),))
    verdict = reach_verdict(scan, failed)
    assert verdict.standing == "open"
    assert "cannot judge the zone yet: at layer4.0 decoder-L failed." in words(verdict)
    results = tuple(replace(r, converged=r.cut != "layer4.0" or r.attack != "decoder-S") for r in attack.results)
    verdict = reach_verdict(scan, replace(attack, results=results))
    assert verdict.standing == "open"
    assert "at layer4.0 decoder-S was still improving." in words(verdict)
    far = tuple(
        replace(r, recovered=0.02, recovered_low=0.01, recovered_high=0.03, converged=False)
        if (r.cut, r.attack) == ("layer4.0", "ridge")
        else r
        for r in attack.results
    )
    assert reach_verdict(scan, replace(attack, results=far)).standing == "confirmed"
    blind = replace(attack, failed=(Failure(cut="layer4.0", attack="shadow", reason="no labels.", needs="none"),))
    assert reach_verdict(scan, blind).standing == "confirmed"
    elsewhere = replace(attack, failed=(Failure(cut="bn1", attack="decoder-L", reason="out of memory."),))
    assert reach_verdict(scan, elsewhere).standing == "confirmed"


def test_doubtful_models_are_named_and_never_get_a_good_verdict() -> None:
    scan, attack = samples.resnet_scan(accuracy=0.11), judged("layer4.0", "layer4.0")
    verdict = reach_verdict(scan, attack)
    assert verdict.tone == "caution"
    assert "right on only 11 % of the images (chance: 10 %)" in words(verdict)
    untrained = replace(scan, model=replace(scan.model, checkpoint=None))
    assert "random weights" in words(reach_verdict(untrained, attack))
    assert "not compared with labels" in words(reach_verdict(replace(scan, accuracy=None), attack))
    assert not any("right on" in line for line in reach_verdict(samples.resnet_scan(), attack).cautions)


def test_the_attackers_images_are_part_of_the_verdict() -> None:
    attack = samples.resnet_attack()
    view = replace(
        attack.view,
        auxiliary="npz:other.npz",
        auxiliary_same_data=False,
        target_trained_on_auxiliary="no",
        reconstruction_shape=(3, 64, 64),
        ceiling_recovered=0.87,
    )
    text = words(reach_verdict(samples.resnet_scan(), replace(attack, view=view)))
    assert "of another data set (npz:other.npz)" in text
    assert "works at 64 × 64 pixels; at full size that alone limits recovered to 87 %" in text
    assert "trained on" not in text


def test_a_rule_that_cannot_be_applied_is_no_finding_of_no_zone() -> None:
    undecided = Zone(rule="default", decided=False, reasons=("Only two cuts were measured.",))
    verdict = reach_verdict(replace(samples.resnet_scan(), zone=undecided, recommended=None))
    assert "could not be applied. Only two cuts were measured." in words(verdict)


def test_warnings_of_the_scan_are_passed_on() -> None:
    scan = samples.resnet_scan(warnings=("Two classes have fewer than 10 images.",))
    assert "Two classes have fewer than 10 images." in reach_verdict(scan).cautions


@given(
    recommended=st.sampled_from([None, *NAMES]),
    first=st.sampled_from([None, *NAMES]),
    quarter=st.sampled_from([None, *NAMES]),
    attacked=st.sets(st.sampled_from(NAMES)),
    decided=st.booleans(),
    complete=st.booleans(),
    accuracy=st.one_of(st.none(), st.floats(0, 1)),
)
def test_good_news_needs_every_witness(
    recommended: str | None,
    first: str | None,
    quarter: str | None,
    attacked: set[str],
    decided: bool,
    complete: bool,
    accuracy: float | None,
) -> None:
    if first is not None and first not in attacked:
        first = None
    attack = replace(judged(first, quarter, decided=decided), complete=complete)
    attack = replace(attack, worst=tuple(worst for worst in attack.worst if worst.cut in attacked))
    scan = replace(samples.resnet_scan(accuracy=accuracy), recommended=recommended)
    if recommended is None:
        scan = without_zone(scan)
    verdict = reach_verdict(scan, attack)
    assert verdict == reach_verdict(scan, attack)
    assert all(line.strip() and line[-1] in ".:?!" for line in verdict.lines())
    if verdict.tone == "good":
        assert complete
        assert decided
        assert recommended in attacked
        assert first is not None
        assert quarter is not None
        assert NAMES.index(recommended) >= max(NAMES.index(first), NAMES.index(quarter))
    if not attacked:
        assert "no evidence of safety" in verdict.headline
