"""`--defense` from the scan to the report."""

import json

import pytest

SOURCES = ("model.py:build", "npz:images.npz")


def read(path):
    return json.loads(path.read_bytes())


def test_a_defended_run_measures_prices_and_attacks_what_is_sent(goldcut, tmp_path):
    plain, noisy = tmp_path / "plain", tmp_path / "noisy"
    flags = ("--cuts", "1,output", "--attacks", "ridge", "--victims", "60")
    assert goldcut("audit", *SOURCES, "--out", str(plain), *flags).code == 0
    answer = goldcut("audit", *SOURCES, "--out", str(noisy), "--defense", "noise:1", *flags)
    assert answer.code == 0
    assert "behind noise:1" in " ".join(answer.out.split())
    before, after = read(plain / "scan.json"), read(noisy / "scan.json")
    assert (before["defense"], after["defense"]) == (None, "noise:1")
    assert before["accuracy"] == after["accuracy"]
    for one, other in zip(before["cuts"], after["cuts"], strict=True):
        assert other["total_variance"] == pytest.approx(2 * one["total_variance"], rel=0.1)
        assert one["accuracy"] is None
        assert 0 <= other["accuracy"] <= 1
        assert one["edge_flops"] == other["edge_flops"]
    attacked = read(noisy / "attack.json")
    assert attacked["view"]["stochastic"]
    leaks = {run: read(run / "attack.json")["results"][0]["recovered"] for run in (plain, noisy)}
    assert leaks[noisy] < leaks[plain]

    averaged = tmp_path / "averaged"
    goldcut("scan", *SOURCES, "--out", str(averaged), "--defense", "noise:1")
    goldcut("attack", str(averaged), *flags, "--queries", "8")
    assert leaks[noisy] < read(averaged / "attack.json")["results"][0]["recovered"]

    answer = goldcut("scan", *SOURCES, "--out", str(noisy), "--defense", "noise:2")
    assert answer.code == 1
    assert "holds a scan with defense = noise:1, now it is noise:2" in answer.err
    assert "is a run with noise:1" in goldcut("promise", str(noisy), "--cut", "1").err
    handed = tmp_path / "handed"
    assert goldcut("challenge", str(noisy), "--cut", "1", "--out", str(handed)).code == 0


def test_an_attack_on_a_weaker_defence_does_not_stand_for_a_stronger_one(goldcut, tmp_path):
    run = tmp_path / "run"
    flags = ("--cuts", "1", "--attacks", "ridge", "--victims", "60")
    reached = []
    for defense in ("noise:0.01", "noise:5"):
        assert goldcut("audit", *SOURCES, "--out", str(run), "--defense", defense, *flags).code == 0
        reached.append(read(run / "attack.json")["results"][0]["recovered"])
        (run / "scan.json").unlink()
        (run / "attack.json").unlink()
    assert reached[1] < reached[0] - 0.05


def test_a_defence_that_is_none(goldcut, tmp_path):
    answer = goldcut("scan", *SOURCES, "--out", str(tmp_path / "run"), "--defense", "nois:1")
    assert answer.code == 1
    assert answer.err.startswith("error: there is no defence 'nois'. Write noise:0.3")
    assert not (tmp_path / "run" / "scan.json").exists()
