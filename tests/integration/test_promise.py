"""`goldcut promise` on a user's files."""

import json

import jsonschema
import pytest

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


def test_too_few_images_for_a_promise(goldcut, tmp_path):
    run = str(tmp_path / "run")
    assert goldcut("scan", "model.py:build", "npz:images.npz", "--out", run).code == 0
    assert "needs at least 400 different images; these are 300" in goldcut("promise", run, "--cut", "3").err
