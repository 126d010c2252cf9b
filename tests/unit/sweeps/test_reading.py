"""The file of a sweep: what it says, and every way in which it can be wrong."""

import pytest

from goldcut.errors import SweepError
from goldcut.sweeps.checks import read_sweep
from goldcut.sweeps.reading import read_grid
from goldcut.sweeps.trials import ModelSource, expand


def grid_of(tmp_path, text):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return read_grid(path)


def test_everything_that_a_file_can_say(tmp_path):
    grid = grid_of(
        tmp_path,
        """
model:
  - torchvision:resnet18
  - {spec: m.py:build, checkpoint: a.pt, input: [3, 32, 32], classes: 10, mean: [0.5, 0.5, 1], std: [1, 1, 1]}
data: [npz:x.npz, npz:y.npz]
defense: [none, noise:0.30]
cuts: [1, 3.10, layer2]
attacks: ridge
victims: 60
exclude:
  - {model: {checkpoint: a.pt}, data: npz:y.npz}
""",
    )
    grid.check()
    values = grid.values()
    assert values["model"][1] == ModelSource(
        spec="m.py:build", checkpoint="a.pt", input=(3, 32, 32), classes=10, mean=(0.5, 0.5, 1.0), std=(1.0, 1.0, 1.0)
    )
    assert values["defense"] == (None, "noise:0.3"), "a defence has one spelling"
    assert values["cuts"] == ("1,3.10,layer2",), "names of cuts are no numbers"
    trials = expand(values, [one.value for one in grid.exclude])
    assert len(trials) == 2 * 2 * 2 - 2
    assert grid.line_of("data", "npz:y.npz") == 5


def test_anchors_and_merges_are_read(tmp_path):
    grid = grid_of(
        tmp_path,
        "model:\n  - &m {spec: a, classes: 3}\n  - {<<: *m, checkpoint: b.pt, classes: 4}\ndata: d\nseed: [0]\n",
    )
    grid.check()
    assert grid.values()["model"][1] == ModelSource(spec="a", classes=4, checkpoint="b.pt")


GOOD = "model: m\ndata: d\n"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["line 1: the file has keys with values, such as"]),
        ("- model: a\n", ["line 1: the file has keys with values, such as"]),
        ("model: a\n", ["line 1: the file says no data"]),
        ("model: [a\ndata: d\n", ["this is no YAML"]),
        ("model: !!python/object:os.system a\ndata: d\n", ["line 1: this is no YAML"]),
        (GOOD + "defence: noise:1\n", ["line 3: there is no key 'defence'; did you mean 'defense'?"]),
        ("modle: a\ndata: d\n", ["line 1: there is no key 'modle'; did you mean 'model'?"]),
        (GOOD + "seed: 1.5\n", ["line 3: seed takes a whole number from 0 on, not 1.5"]),
        (GOOD + "seed: [0, true]\n", ["line 3: seed takes a whole number from 0 on, not True"]),
        (GOOD + "seed: [0, [1]]\n", ["line 3: seed takes a whole number from 0 on, not [1]"]),
        (GOOD + "seed: []\n", ["line 3: seed has an empty list"]),
        (GOOD + "seed:\n  - 1\n  - 2\n  - 1\n", ["line 6: seed has 1 twice"]),
        (GOOD + "seed: 1\nseed: 2\n", ["line 4: 'seed' stands here and on line 3"]),
        (GOOD + "victims: 3\n", ["line 3: victims takes a whole number from 20 on, not 3"]),
        (GOOD + "effort: smal\n", ["line 3: effort takes one of small, standard, large (did you mean small?)"]),
        (GOOD + "knowledge: weight\n", ["(did you mean weights?)"]),
        (GOOD + "labels: clusters\n", ["line 3: labels takes truth, predicted, or clusters:K"]),
        (GOOD + "defense: nois:1\n", ["line 3: there is no defence 'nois'. Write noise:0.3"]),
        (GOOD + "defense: dropout:2\n", ["line 3: 'dropout:2' is out of range"]),
        (GOOD + "defense: 0.3\n", ["line 3: defense takes some text, not 0.3"]),
        ("model: {checkpoint: a}\ndata: d\n", ["line 1: this model has no spec"]),
        ("model: {spec: a, chekpoint: b}\ndata: d\n", ["no key 'chekpoint'; did you mean 'checkpoint'?"]),
        ("model: {spec: a, input: [3, 32]}\ndata: d\n", ["input takes a list of numbers such as [3, 32, 32]"]),
        ("model: {spec: a, checkpoint: b, weights: c}\ndata: d\n", ["has both a checkpoint and weights"]),
        ("model: 3\ndata: d\n", ["line 1: model takes a spec, or a mapping with `spec` and `checkpoint`, not 3"]),
        (GOOD + "exclude: {seed: 1}\n", ["line 3: exclude takes a list"]),
        (GOOD + "exclude: [seed]\n", ["line 3: an exclusion has keys and values"]),
        (GOOD + "exclude:\n  - {cuts: a}\n", ["line 4: there is no key 'cuts'"]),
        (
            "modle: a\ndata: d\nseed: x\ndefense: nois:1\n",
            ["has 3 problems, nothing was run", "line 1: ", "line 3: ", "line 4: "],
        ),
    ],
)
def test_a_bad_file_is_refused_with_the_line_and_the_near_key(tmp_path, text, problems):
    with pytest.raises(SweepError) as caught:
        grid_of(tmp_path, text).check()
    for problem in problems:
        assert problem in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SweepError, match="cannot be read"):
        read_grid(tmp_path / "none.yaml")


def test_attacks_models_and_exclusions_are_refused_together(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(
        "model:\n  - goldcut:cnn5\ndata: npz:nowhere.npz\nattacks: ridges\nexclude:\n  - {seed: 3}\n", encoding="utf-8"
    )
    with pytest.raises(SweepError) as caught:
        read_sweep(path)
    said = str(caught.value)
    assert "4 problems" in said
    assert "line 2: " in said
    assert "line 3: " in said
    assert "line 4: there is no attack 'ridges'" in said
    assert "line 6: exclude names seed 3, which the file does not ask for" in said
