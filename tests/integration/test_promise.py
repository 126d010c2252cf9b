"""`goldcut promise` on a user's files."""

import json

import jsonschema
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from goldcut import json_schema

SOURCES = ("model.py:build", "npz:other.npz")


def test_a_promise_is_found_priced_and_not_beaten(goldcut, tmp_path):
    run = str(tmp_path / "run")
    assert goldcut("scan", *SOURCES, "--out", run).code == 0
    answer = goldcut("promise", run, "--cut", "3", "--gallery", "50", "--odds", "0.3", "--attacks", "ridge")
    assert answer.code == 0
    assert "of 50 images of its class at most 30 % of the time" in " ".join(answer.out.split())
    assert "The price: accuracy" in answer.out
    assert "ridge recovers" in answer.out
    assert "an unbiased estimate of the pixels errs by" in " ".join(answer.out.split())
    assert goldcut("report", run).code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "A promise against any attack" in page
    assert "Fisher leakage is" in page

    kept = json.loads((tmp_path / "run" / "promise.json").read_bytes())
    jsonschema.validate(kept, json_schema("goldcut.promise/1"))
    assert kept["fisher"]["unbiased_mse"] == pytest.approx(1 / kept["fisher"]["leakage"])
    assert "may err less" in kept["fisher"]["assumption"]
    (gallery,) = kept["galleries"]
    assert gallery["promised"] == pytest.approx(0.3, abs=1e-3)
    assert 1 / 50 < gallery["reached"] <= gallery["promised"]

    half_bit = ("promise", run, "--cut", "3", "--attacks", "none", "--bits", "0.5", "--json")
    fewer = json.loads(goldcut(*half_bit, "--releases", "4").out)
    assert fewer["bits"] == pytest.approx(0.5, rel=1e-3)
    once = json.loads(goldcut(*half_bit).out)
    assert fewer["sigma"] == pytest.approx(2 * once["sigma"])
    assert fewer["fisher"]["leakage"] == pytest.approx(once["fisher"]["leakage"])
    assert once["accuracy_most"] < 1

    for flags, words in (
        (("--cut", "nowhere"), "the model has no cut 'nowhere'"),
        (("--cut", "3", "--bits", "0"), "0 bits cannot be promised"),
        (("--cut", "3", "--gallery", "2"), "a gallery of 2 is no choice"),
        (("--cut", "3", "--odds", "0.0001"), "chance alone is right in 0.001 of the cases"),
        (("--cut", "3", "--releases", "0"), "0 releases are none"),
        (("--cut", "0", "--memory", "1M"), "GiB"),
    ):
        answer = goldcut("promise", run, *flags)
        assert answer.code == 1
        assert words in answer.err
        assert answer.err.count("error:") == 1


def test_the_cloud_half_learns_to_read_what_a_promise_sends(goldcut, tmp_path, files):
    run, weights, data = tmp_path / "run", tmp_path / "net.safetensors", tmp_path / "many.npz"
    with np.load(files / "images.npz") as stored:
        x, y = (np.concatenate([stored[f"{part}_train"], stored[f"{part}_test"]]) for part in "xy")
    np.savez(data, x_train=x[:250], y_train=y[:250], x_test=x[250:], y_test=y[250:])
    sources, recipe = (
        ("model.py:build", f"npz:{data}"),
        ("--epochs", "30", "--rate", "1e-2", "--batch", "32", "--watch", "none"),
    )
    assert goldcut("train", *sources, "--out", str(weights), *recipe).code == 0
    assert goldcut("scan", *sources, "--checkpoint", str(weights), "--out", str(run)).code == 0
    ask = ("promise", str(run), "--cut", "1", "--bits", "300", "--attacks", "none", "--json")
    before, kept = json.loads(goldcut(*ask).out), load_file(weights)
    after = json.loads(goldcut(*ask, "--adapt").out)
    assert before["accuracy_adapted"] is None
    assert after["adapted_on"] == 250
    assert {name: after[name] for name in ("sigma", "bits", "accuracy_noisy")} == {
        name: before[name] for name in ("sigma", "bits", "accuracy_noisy")
    }
    assert after["accuracy_adapted"] > after["accuracy_noisy"] + 0.05
    adapted = load_file(run / "adapted.safetensors")
    assert adapted.keys() == kept.keys()
    same = {name for name in kept if torch.equal(kept[name], adapted[name])}
    assert same == {name for name in kept if name[0] == "0"}  # the edge half, and nothing else

    answer = goldcut("promise", str(run), "--cut", "output", "--bits", "300", "--attacks", "none", "--adapt")
    assert answer.code == 1
    assert "nothing to learn from" in answer.err


def test_too_few_images_for_a_promise(goldcut, tmp_path):
    run = str(tmp_path / "run")
    assert goldcut("scan", "model.py:build", "npz:images.npz", "--out", run).code == 0
    assert "needs at least 400 different images; these are 300" in goldcut("promise", run, "--cut", "3").err
