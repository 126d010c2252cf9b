"""Tables: every claim is judged by its own, and rows and verdicts are right on records made by hand."""

import math
from itertools import product

import pytest

from goldcut.errors import RunError
from goldcut.reproduce import edge, labels, levels, origins
from goldcut.reproduce.judge import read_claims
from goldcut.reproduce.scale import SCALES
from goldcut.reproduce.steps import Scan, Training
from goldcut.reproduce.tables import TABLES, find_table
from reproduce_samples import made_attack, made_prices, made_result, made_scan, made_training

SCALE = SCALES["cpu"]
EVERY = [pytest.param(name, scale, id=f"{name}-{scale.name}") for name, scale in product(TABLES, SCALES.values())]


def verdicts(answer):
    return {(claim.id, claim.subject.split(",")[0]): claim.verdict for claim in answer.claims}


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_an_empty_table_has_run_nothing_and_judges_its_own_claims(name, scale):
    answer = TABLES[name].answer(scale, {})
    assert not answer.rows
    assert {claim.verdict for claim in answer.claims} == {"not run"}
    assert {claim.id for claim in answer.claims} == {
        claim.id for claim in read_claims().values() if claim.table == name
    }


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_every_step_comes_once_and_after_what_it_needs(name, scale):
    steps = TABLES[name].plan(scale)
    assert len({step.name for step in steps}) == len(steps)
    for place, step in enumerate(steps):
        assert set(step.needs) <= set(steps[:place])


def test_the_scales_name_their_cuts_in_order():
    for scale in SCALES.values():
        for network in scale.networks.values():
            order = network.candidates
            assert {network.shallow, network.feature, network.last_feature, network.decision} <= set(order)
            assert order.index(network.shallow) < order.index(network.feature) <= order.index(network.last_feature)
            assert order.index(network.last_feature) < order.index(network.decision)


def test_a_table_is_found_by_name_and_letter_and_near_names_are_listed():
    assert find_table("labels")[0] == find_table("c")[0] == "labels"
    with pytest.raises(RunError, match="Did you mean labels"):
        find_table("lables")


def level_results(name, errors, radii=None, **record):
    """The records behind one network: an error, and perhaps R_c^2, for every candidate."""
    step = levels.attacked(SCALE, name)
    cuts = SCALE.networks[name].candidates
    scan = made_scan(
        {cut: {"radius_sq_paper": r} for cut, r in zip(cuts, radii or range(len(cuts), 0, -1), strict=True)}
    )
    attack = made_attack(*(made_result(cut, "ridge", mse) for cut, mse in zip(cuts, errors, strict=True)), **record)
    return {step: attack, Scan(step.training): scan}


def test_an_error_that_jumps_at_the_last_stage_holds():
    answer = levels.answer(SCALE, level_results("ir152", (0.004, 0.005, 0.006, 0.0065, 0.02)))
    found = verdicts(answer)
    assert found["ir-jump", "goldcut:ir152-small"] == "holds"
    assert found["shallow-ratio", "goldcut:ir152-small"] == "holds"
    assert found["ir-ratio", "goldcut:ir152-small"] == "not testable at this scale"
    assert [row["mse"] for row in answer.rows] == [0.004, 0.005, 0.006, 0.0065, 0.02]


def test_an_error_that_jumps_elsewhere_does_not_hold():
    found = verdicts(levels.answer(SCALE, level_results("ir152", (0.004, 0.012, 0.013, 0.014, 0.015))))
    assert found["ir-jump", "goldcut:ir152-small"] == found["ir-rise", "goldcut:ir152-small"] == "does not hold"
    assert found["shallow-ratio", "goldcut:ir152-small"] == "does not hold"


def test_a_jump_may_be_the_largest_difference_and_not_the_largest_ratio():
    found = verdicts(levels.answer(SCALE, level_results("ir152", (0.001, 0.004, 0.009, 0.011, 0.03))))
    assert found["ir-jump", "goldcut:ir152-small"] == "does not hold"
    assert found["ir-rise", "goldcut:ir152-small"] == "holds"


def test_the_only_rise_is_beyond_all_bounds():
    answer = levels.answer(SCALE, level_results("ir152", (0.01, 0.01, 0.01, 0.01, 0.03)))
    (claim,) = (one for one in answer.claims if one.id == "ir-rise")
    assert (claim.value, claim.high, claim.verdict) == (math.inf, math.inf, "holds")


@pytest.mark.parametrize(
    ("errors", "converged", "verdict"),
    [
        ((0.001, 0.005, 0.01, 0.02, 0.03, 0.08), True, "holds"),
        ((0.001, 0.005, 0.01, 0.02, 0.08, 0.08), True, "does not hold"),
        ((0.001, 0.005, 0.01, 0.02, 0.08, 0.08), False, "not testable at this scale"),
    ],
)
def test_a_transformer_has_a_zone_only_where_a_finished_attack_loses_the_tokens(errors, converged, verdict):
    step, cuts = levels.attacked(SCALE, "vit64"), SCALE.networks["vit64"].candidates
    found = [made_result(cut, "ridge", mse, converged=converged) for cut, mse in zip(cuts, errors, strict=True)]
    answer = levels.answer(SCALE, {step: made_attack(*found)})
    assert verdicts(answer)["vit-none", "goldcut:vit64-small"] == verdict


def test_the_rule_is_compared_with_the_attack_on_the_candidates():
    results = level_results("ir152", (0.004, 0.005, 0.006, 0.0065, 0.02), radii=(100, 95, 90, 85, 10))
    results |= level_results("cnn4", (0.004, 0.02, 0.021, 0.022, 0.023), radii=(100, 95, 90, 85, 10))
    results |= level_results("vgg19", (0.001, 0.004, 0.009, 0.011, 0.012, 0.03, 0.031), radii=(9, 9, 9, 9, 9, 1, 1))
    answer = TABLES["rule"].answer(SCALE, results)
    names = ("rule", "attack_jump", "apart_jump", "attack_rise", "apart_rise")
    assert [tuple(row[name] for name in names) for row in answer.rows] == [
        ("head.flatten", "head.flatten", 0, "head.flatten", 0),
        ("flatten", "blocks.1", 3, "blocks.1", 3),
        ("features.42", "features.16", 4, "features.42", 0),
    ]
    assert [claim.value for claim in answer.claims] == [pytest.approx(1 / 3), pytest.approx(2 / 3)]
    assert {claim.verdict for claim in answer.claims} == {"not testable at this scale"}


def label_results(radius, within, error, entropy):
    """Three seeds on every labelled network, each figure by label distribution and a little different by seed."""
    results = {}
    for name, targets, seed in product(SCALE.labelled, labels.AGAINST, range(3)):
        training, change = Training(name, targets=targets, seed=seed), 1 + 0.01 * seed * (targets == labels.POSITIVE)
        cuts = SCALE.networks[name].deep
        figures = {"radius_sq": radius[targets] * change, "within_share_standardised": within[targets] * change}
        results[training] = made_training(entropy[targets] * change)
        results[Scan(training)] = made_scan(dict.fromkeys(cuts, figures))
        results[labels.attacked(SCALE, training)] = made_attack(
            *(made_result(cut, "ridge", error[targets] * change) for cut in cuts)
        )
    return results


def by_target(positive, plain, negative):
    return dict(zip(labels.AGAINST, (positive, plain, negative), strict=True))


def test_label_distributions_are_compared_seed_by_seed():
    steady = by_target(0.3, 0.3, 0.3)
    results = label_results(by_target(1, 20, 40), steady, by_target(0.04, 0.05, 0.05), by_target(1.5, 0.5, 0.3))
    answer = labels.answer(SCALE, results)
    found = verdicts(answer)
    for name in ("goldcut:ir152-small", "goldcut:cnn4-small"):
        assert found["smoothing-contracts", name] == "holds"
        assert found["negative-expands", name] == "holds"
        assert found["output-entropy", name] == "holds"
        assert found["smoothing-resists", name] == "does not hold"
        assert found["more-than-scale", name] == "not testable at this scale"
    assert len(answer.rows) == 2 * 3 * 3 * 2
    assert all("3 of 3 seeds" in claim.subject for claim in answer.claims)


def test_a_missing_seed_is_said():
    steady = by_target(0.3, 0.3, 0.3)
    results = label_results(by_target(1, 20, 40), steady, steady, by_target(1.5, 0.5, 0.3))
    del results[Training("cnn4", targets=labels.POSITIVE, seed=2)]
    answer = labels.answer(SCALE, results)
    assert {c.subject for c in answer.claims if c.id == "output-entropy"} == {
        "goldcut:ir152-small, 3 of 3 seeds",
        "goldcut:cnn4-small, 2 of 3 seeds",
    }


def attack_with_zone(first):
    """An attack on VGG19 that loses the image from one candidate on, or nowhere."""
    cuts = SCALE.networks["vgg19"].candidates
    start = cuts.index(first) if first is not None else len(cuts)
    return made_attack(*(made_result(cut, "ridge", 0.08 if turn >= start else 0.01) for turn, cut in enumerate(cuts)))


@pytest.mark.parametrize(
    ("faces", "digits", "expected"),
    [
        ("features.25", "features.42", ("holds", "holds")),
        ("features.42", "features.25", ("does not hold", "does not hold")),
        (None, "features.38", ("not testable at this scale", "does not hold")),
    ],
)
def test_where_the_zone_begins_on_other_images(faces, digits, expected):
    zones = {"natural": "features.38", "faces": faces, "digits": digits}
    results = {levels.attacked(SCALE, "vgg19", kind): attack_with_zone(zone) for kind, zone in zones.items()}
    claims = origins.answer(SCALE, results).claims
    assert tuple(claim.verdict for claim in claims) == expected
    assert [claim.value is None for claim in claims] == ["not testable" in verdict for verdict in expected]


@pytest.mark.parametrize(
    ("seconds", "latency"),
    [
        ((0.1, 0.105, 0.2), "holds"),
        ((0.1, 0.13, 0.2), "does not hold"),
        ((0.1, 0.13, 0.12), "not testable at this scale"),
    ],
)
def test_what_the_zone_costs(seconds, latency):
    sizes = {"features.25": (5, 65_536), "features.29": (7, 32_768), "features.38": (25, 32_768)}
    vgg = {cut: (*figures, time) for (cut, figures), time in zip(sizes.items(), seconds, strict=True)}
    results = {
        edge.priced("vgg19"): made_prices(vgg, 1000),
        edge.priced("ir152"): made_prices({"body.47": (79, 32_768, 1.0)}, 100),
    }
    answer = edge.answer(SCALE, results)
    assert {claim.id: claim.verdict for claim in answer.claims} == {
        "vgg-parameters": "holds",
        "ir-parameters": "holds",
        "vgg-payload": "holds",
        "vgg-latency": latency,
    }
    assert answer.rows[-2]["edge_params_percent"] == 2.5
