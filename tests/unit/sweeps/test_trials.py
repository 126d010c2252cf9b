"""The grid: what is multiplied, what is left out, and the names of trials."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.sweeps.trials import ModelSource, Trial, expand, named_files, read_content

SPECS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)
SEEDS = st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True)
DEFENSES = st.lists(st.sampled_from([None, "noise:0.3", "topk:0.1"]), min_size=1, unique=True)


def axes(specs, seeds, defenses):
    return {
        "model": [ModelSource(spec=spec) for spec in specs],
        "data": ["npz:x.npz"],
        "defense": defenses,
        "seed": seeds,
    }


@settings(max_examples=30, deadline=None)
@given(SPECS, SEEDS, DEFENSES)
def test_lists_multiply_and_every_trial_has_a_name_of_its_own(specs, seeds, defenses):
    found = expand(axes(specs, seeds, defenses))
    assert len(found) == len(specs) * len(seeds) * len(defenses)
    assert len({trial.id for trial in found}) == len(found)
    assert {(t.model.spec, t.seed, t.defense) for t in found} == {
        (spec, seed, defense) for spec in specs for seed in seeds for defense in defenses
    }


@settings(max_examples=30, deadline=None)
@given(SPECS, SEEDS, DEFENSES, st.randoms())
def test_names_do_not_depend_on_the_order_of_keys_or_values(specs, seeds, defenses, random):
    plain = axes(specs, seeds, defenses)
    keys = list(plain)
    random.shuffle(keys)
    shuffled = {key: random.sample(plain[key], len(plain[key])) for key in keys}
    assert {t.id for t in expand(plain)} == {t.id for t in expand(shuffled)}


@settings(max_examples=30, deadline=None)
@given(SPECS, SEEDS, DEFENSES, st.data())
def test_an_exclusion_leaves_out_exactly_what_has_all_its_values(specs, seeds, defenses, data):
    grid = axes(specs, seeds, defenses)
    spec, seed = data.draw(st.sampled_from(specs)), data.draw(st.sampled_from(seeds))
    kept = expand(grid, [{"model": [spec], "seed": [seed]}])
    assert set(expand(grid)) - set(kept) == {t for t in expand(grid) if t.model.spec == spec and t.seed == seed}


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_two_exclusions_leave_out_what_either_does(seeds):
    grid = axes(["a"], seeds, [None])
    for one, other in combinations(seeds, 2):
        both = expand(grid, [{"seed": [one]}, {"seed": [other]}])
        assert both == expand(grid, [{"seed": [one, other]}])


def test_a_model_is_excluded_by_some_of_its_fields():
    grid = {"model": [ModelSource(spec="m", checkpoint=name) for name in ("a", "b")], "data": ["d"]}
    assert [t.model.checkpoint for t in expand(grid, [{"model": [{"checkpoint": "a"}]}])] == ["b"]


TRIAL = Trial(model=ModelSource(spec="m.py:build", checkpoint="w.safetensors", input=(3, 32, 32)), data="npz:x.npz")


def test_a_name_is_the_same_in_every_version():
    assert TRIAL.content == (
        '{"data":"npz:x.npz","model":{"checkpoint":"w.safetensors","input":[3,32,32],"spec":"m.py:build"}}'
    )
    assert Trial(model=ModelSource(spec="m"), data="d", seed=0, effort="standard").id == "c427c36ccdd7"


@pytest.mark.parametrize(
    "more",
    [{"seed": 1}, {"defense": "noise:1"}, {"files": (("x.npz", "00"),)}, {"queries": 4}, {"aux": "npz:y.npz"}],
    ids=str,
)
def test_content_goes_there_and_back_and_every_field_counts(more):
    other = replace(TRIAL, **more)
    assert read_content(other.content) == other
    assert other.id != TRIAL.id


def test_files_that_a_trial_is_made_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("m.py", "w.safetensors", "x.npz"):
        (tmp_path / name).touch()
    assert [path.name for path in named_files(TRIAL)] == ["w.safetensors", "m.py", "x.npz"]


def test_a_trial_in_words_says_what_differs_from_the_default():
    assert str(TRIAL) == "m.py:build w.safetensors, npz:x.npz, no defence, seed 0"
