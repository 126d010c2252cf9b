"""`--classifier` and `--embedder`: other networks look at what the attacks make."""

import json

import pyarrow.parquet

SOURCES = ("model.py:build", "npz:images.npz")
FLAGS = ("--cuts", "1,output", "--attacks", "ridge", "--victims", "60")


def test_witnesses_see_more_behind_a_shallow_cut(goldcut, tmp_path, files):
    (files / "other.py").write_text((files / "model.py").read_text().replace("manual_seed(0)", "manual_seed(1)"))
    run = tmp_path / "run"
    assert goldcut("scan", *SOURCES, "--out", str(run)).code == 0
    witnesses = ("--classifier", "other.py:build", "--embedder", "other.py:detector")
    assert goldcut("attack", str(run), *FLAGS, *witnesses).code == 0
    shallow, deep = json.loads((run / "attack.json").read_bytes())["results"]
    assert shallow["agreement"] >= deep["agreement"]
    assert shallow["agreement_low"] <= shallow["agreement"] <= shallow["agreement_high"]
    assert deep["identity_cosine"] <= shallow["identity_cosine"] <= 1
    kept = pyarrow.parquet.read_table(run / "victims.parquet").to_pydict()
    assert set(kept["agreement"]) <= {0.0, 1.0}

    answer = goldcut("attack", str(run), *FLAGS, "--classifier", "other.py:build")
    assert answer.code == 1
    assert "holds a attack" not in answer.err
    assert "Use the same flags" in answer.err


def test_a_witness_that_cannot_serve(goldcut, tmp_path):
    run = tmp_path / "run"
    assert goldcut("scan", *SOURCES, "--out", str(run)).code == 0
    for flags, words in (
        (("--classifier", "model.py:build"), "has the weights of the model that is attacked"),
        (("--embedder", "model.py:nobody"), "nobody"),
        (("--classifier", "torchvision:resnet18"), "takes images of 3,224,224 and the attacked model of 1,16,16"),
    ):
        answer = goldcut("attack", str(run), *FLAGS, *flags)
        assert answer.code == 1
        assert words in answer.err


def test_damaged_figures_are_named_and_not_overwritten(goldcut, tmp_path):
    run = tmp_path / "run"
    assert goldcut("scan", *SOURCES, "--out", str(run)).code == 0
    (run / "victims.parquet").write_bytes(b"half a table")
    answer = goldcut("attack", str(run), *FLAGS)
    assert answer.code == 1
    assert "victims.parquet is damaged" in answer.err
    assert (run / "victims.parquet").read_bytes() == b"half a table"
