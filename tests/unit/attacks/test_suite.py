"""The attacks by name."""

import pytest

from goldcut.attacks.suite import ATTACKS, PROBES, SETS, STRONGEST_OF_PAPER, choose_attacks
from goldcut.errors import AttackError


def test_sets_names_and_efforts():
    standard = ["ridge", "decoder-S", "decoder-M", "stack", "refine", "rmle", "shadow", "attributes"]
    assert [one.name for one in choose_attacks("standard")] == standard
    assert [one.name for one in choose_attacks("decoder-M, ridge,standard")] == [
        standard[i] for i in (2, 0, 1, 3, 4, 5, 6, 7)
    ]
    assert [one.name for one in choose_attacks("standard", "small")] == ["ridge", "decoder-S", "stack"]
    assert [one.name for one in choose_attacks("decoder-M", "small")] == ["decoder-M"]
    assert [one.name for one in choose_attacks("paper", "small")] == ["deconv"]
    assert {"ridge", "decoder-M", "decoder-L", "prior", "latent", "latent-query"} <= {
        one.name for one in choose_attacks("strong")
    }
    assert choose_attacks("attributes", "small") == (PROBES["attributes"],)
    assert set(STRONGEST_OF_PAPER) == set(SETS["strong"]) & set(SETS["paper"])
    assert choose_attacks("ridge,decoder-S") == (ATTACKS["ridge"], ATTACKS["decoder-S"])


def test_an_effort_moves_the_cap_and_nothing_else():
    small, standard, large = (choose_attacks("decoder-S", effort)[0] for effort in ("small", "standard", "large"))
    caps = [one.settings.max_steps for one in (small, standard, large)]  # type: ignore[attr-defined]
    assert caps == sorted(set(caps))
    assert len({repr(one).replace(f"max_steps={cap}", "") for one, cap in zip((small, standard, large), caps)}) == 1  # noqa: B905


def test_a_set_is_cut_down_to_what_the_attacker_knows():
    searched = {one.name for one in choose_attacks("strong", knowledge="queries")}
    assert "latent-query" in searched
    assert not searched & {"latent", "refine", "rmle", "prior"}
    assert [one.name for one in choose_attacks("standard", knowledge="architecture")] == ["shadow"]
    assert [one.name for one in choose_attacks("strong", knowledge="none")] == ["shadow-other", "align"]


def test_an_effort_caps_every_training_of_a_substitute():
    for name in ("shadow", "shadow-other", "align"):
        small, large = (choose_attacks(name, effort)[0] for effort in ("small", "large"))
        assert small.edge.max_steps < large.edge.max_steps  # type: ignore[union-attr]
        assert small.decoder.settings.max_steps < large.decoder.settings.max_steps  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("names", "effort", "said"), [("magic", "standard", "no attack 'magic'"), ("ridge", "x", "no effort 'x'")]
)
def test_unknown_names_are_refused_with_the_known_ones(names: str, effort: str, said: str):
    with pytest.raises(AttackError, match=said):
        choose_attacks(names, effort)
