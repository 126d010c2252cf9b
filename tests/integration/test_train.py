"""Training from the command line: weights that the audit opens, exact resumption after a kill, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from goldcut.fitting import Settings, loop
from goldcut.records import json_schema

DATA = "npz:images.npz"
QUICK = ("--epochs", "2", "--batch", "32", "--watch", "0,output", "--splits", "2")


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def trained(goldcut, trained_folder):
    """A finished training; made once, found finished afterwards."""
    out = trained_folder / "net.safetensors"
    answer = goldcut("train", "model.py:build", DATA, "--out", str(out), "--targets", "smooth:0.3", *QUICK)
    assert answer.code == 0, answer.err
    return out, answer


def test_it_writes_weights_and_a_record_that_follows_its_schema(trained):
    out, answer = trained
    record = json.loads(out.with_suffix(".json").read_bytes())
    jsonschema.validate(record, json_schema("goldcut.train/1"))
    assert record["complete"]
    assert [row["epoch"] for row in record["history"]] == [0, 1, 2]
    assert [cut["cut"] for cut in record["history"][0]["cuts"]] == ["0", "output"]
    assert {row["step"] for row in record["splits"]} == {0, record["history"][-1]["step"] - 1}
    assert record["accuracy_low"] <= record["accuracy"] <= record["accuracy_high"]
    assert record["selected"] == 1 + int(np.argmax([row["accuracy"] for row in record["history"][1:]]))
    assert sorted(path.name for path in out.parent.iterdir()) == ["net.json", "net.safetensors"]
    assert "Test accuracy" in answer.out


def test_no_image_of_the_test_part_is_trained_or_selected_on(trained, files):
    record = json.loads(trained[0].with_suffix(".json").read_bytes())
    with np.load(files / "images.npz") as stored:
        own, other = ([image.tobytes() for image in stored[part]] for part in ("x_train", "x_test"))
    usable = {image for image in own if image not in set(other)}
    assert record["training"]["images"] + record["selection"]["images"] == len(usable)
    assert (record["selection"]["images"], record["test"]["images"]) == (round(len(usable) / 10), 300)
    assert record["training"]["part"] == "train/training"
    assert record["test"]["part"] == "test"


def test_the_audit_opens_the_weights_and_finds_the_same_accuracy(goldcut, trained, tmp_path):
    out, _ = trained
    answer = goldcut("scan", "model.py:build", DATA, "--checkpoint", str(out), "--out", str(tmp_path / "run"), "--json")
    assert answer.code == 0, answer.err
    scan, record = json.loads(answer.out), json.loads(out.with_suffix(".json").read_bytes())
    assert scan["accuracy"] == pytest.approx(record["accuracy"])
    assert scan["model"]["sha256"] == record["model"]["sha256"]


def test_the_same_command_again_trains_nothing(goldcut, trained):
    out, first = trained
    before = out.stat().st_mtime_ns
    answer = goldcut("train", "model.py:build", DATA, "--out", str(out), "--targets", "smooth:0.3", *QUICK)
    assert answer.out == first.out
    assert out.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--targets", "smooth:2"), "alpha is 2"),
        (("--targets", "smoth:0.1"), "Did you mean smooth"),
        (("--targets", "mixup:1", "--loss", "supcon"), "cannot take the targets mixup:1"),
        (("--targets", "smooth:0.8"), "alpha must be below 0.667"),
        (("--loss", "focul"), "Did you mean focal"),
        (("--watch", "00"), "no cut '00'. Near it: 0"),
        (("--loss", "radius", "--at", "9"), "no cut '9'"),
        (("--at", "0"), "acts on the logits alone"),
        (("--defense", "nois:1"), "no defence 'nois'"),
        (("--defense", "noise:1", "--at", "0,2"), "stands at one cut and --at names 2"),
        (("--defense", "noise:1", "--at", "output"), "behind the output there is nothing"),
        (("--loss", "bottleneck"), "only where noise is sent. Give --defense noise:0.3 too"),
        (("--loss", "adversary", "--targets", "mixup:1"), "would learn blends of images"),
        (("--targets", "teacher:other.safetensors"), "does not fit the model"),
        (("--checkpoint", "other.safetensors"), "does not fit the model"),
        (("--resume",), "nothing to resume"),
        (("--classes", "5"), "gives 5 outputs an image and the data has 3 classes"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(goldcut, files, tmp_path, flags, words):
    from safetensors.numpy import save_file

    save_file({"fc.weight": np.zeros((3, 5), "float32")}, files / "other.safetensors")
    answer = goldcut("train", "model.py:build", DATA, "--out", str(tmp_path / "net.safetensors"), *QUICK, *flags)
    assert answer.code == 1
    assert words in answer.err
    assert answer.err.count("\n") == 1 or "..." in answer.err
    assert not (tmp_path / "net.safetensors").exists()


def test_places_and_data_that_cannot_be_used(goldcut, trained, tmp_path):
    out, _ = trained
    command = ("train", "model.py:build", DATA, *QUICK)
    assert "safetensors and" in goldcut(*command, "--out", str(tmp_path / "net.pt")).err
    other = goldcut(*command, "--out", str(out), "--targets", "one-hot")
    assert other.code == 1
    assert "targets = smooth:0.3, now it is one-hot" in other.err
    stray = tmp_path / "stray.safetensors"
    stray.write_bytes(b"something else")
    assert "no record of its training" in goldcut(*command, "--out", str(stray)).err
    assert stray.read_bytes() == b"something else"
    one_part = goldcut("train", "model.py:build", "npz:other.npz", *QUICK, "--out", str(tmp_path / "net.safetensors"))
    assert "has one part" in one_part.err


def test_a_defence_is_trained_through_and_the_audit_finds_the_same_accuracy_behind_it(goldcut, tmp_path):
    out, run = tmp_path / "net.safetensors", tmp_path / "run"
    flags = ("--defense", "quantise:1", "--at", "1", "--loss", "nopeek:0.1")
    answer = goldcut("train", "model.py:build", DATA, "--out", str(out), *QUICK, *flags)
    assert answer.code == 0, answer.err
    assert "behind quantise:1 at 1" in " ".join(answer.out.split())
    assert "--defense quantise:1" in " ".join(answer.out.split())
    record = json.loads(out.with_suffix(".json").read_bytes())
    jsonschema.validate(record, json_schema("goldcut.train/1"))
    assert (record["defense"], record["defended_cut"], record["acts_on"]) == ("quantise:1", "1", ["1"])
    scanned = goldcut(
        *("scan", "model.py:build", DATA, "--checkpoint", str(out), "--out", str(run), "--json"),
        *("--defense", "quantise:1"),
    )
    scan = json.loads(scanned.out)
    behind = next(cut["accuracy"] for cut in scan["cuts"] if cut["name"] == "1")
    assert behind == pytest.approx(record["accuracy"])
    other = goldcut("train", "model.py:build", DATA, "--out", str(out), *QUICK, "--loss", "nopeek:0.1", "--at", "1")
    assert "defended_cut = 1, now it is None" in other.err


def test_living_with_noise_is_learned(goldcut, tmp_path):
    behind = {}
    for name, flags in (("plain", ()), ("through", ("--defense", "noise:2", "--at", "3"))):
        out, run = tmp_path / f"{name}.safetensors", tmp_path / name
        trained = ("--epochs", "12", "--batch", "32", "--watch", "none", "--rate", "2e-2", *flags)
        assert goldcut("train", "model.py:build", DATA, "--out", str(out), *trained).code == 0
        scanned = goldcut(
            *("scan", "model.py:build", DATA, "--checkpoint", str(out), "--out", str(run), "--json"),
            *("--defense", "noise:2"),
        )
        behind[name] = next(cut["accuracy"] for cut in json.loads(scanned.out)["cuts"] if cut["name"] == "3")
    assert behind["through"] > behind["plain"]


@pytest.mark.parametrize("writes", [0, 3])
def test_a_full_disk_is_one_sentence(goldcut, tmp_path, monkeypatch, writes):
    replace, calls = os.replace, []

    def full(*paths):
        calls.append(paths)
        if len(calls) > writes:
            raise OSError(28, "No space left on device")
        replace(*paths)

    monkeypatch.setattr("os.replace", full)
    answer = goldcut("train", "model.py:build", DATA, *QUICK, "--out", str(tmp_path / "net.safetensors"))
    assert answer.code == 1
    assert "No space left on device" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == (["net.json"] if writes else [])


def test_a_training_goes_on_exactly_after_a_kill(goldcut, files, tmp_path, monkeypatch):
    flags = ("--epochs", "40", "--batch", "32", "--watch", "2,output", "--splits", "5", "--targets", "smooth:0.2")
    killed, whole = tmp_path / "killed.safetensors", tmp_path / "whole.safetensors"
    process = subprocess.Popen(
        [sys.executable, "-c", KEEN, "train", "model.py:build", DATA, "--out", str(killed), *flags],
        cwd=files,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    limit = time.monotonic() + 600
    while not (killed.with_suffix(".partial.safetensors").exists() and epochs(killed) >= 3):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    process.stderr.close()
    assert not killed.exists()
    assert not json.loads(killed.with_suffix(".json").read_bytes())["complete"]
    monkeypatch.setattr(Settings.__init__, "__defaults__", (*Settings.__init__.__defaults__[:-1], 0.0))
    resumed_at = []
    read = loop.read_checkpoint
    monkeypatch.setattr(loop, "read_checkpoint", lambda *args: resumed_at.append(read(*args)) or resumed_at[-1])
    command = ("train", "model.py:build", DATA, *flags)
    assert goldcut(*command, "--out", str(killed), "--resume").code == 0
    assert resumed_at[0].course["step"] >= 21
    assert goldcut(*command, "--out", str(whole)).code == 0
    one, other = load_file(killed), load_file(whole)
    assert all(np.array_equal(one[name], other[name]) for name in other)
    resumed, once = (json.loads(path.with_suffix(".json").read_bytes()) for path in (killed, whole))
    for key in ("history", "splits", "selected", "accuracy", "accuracy_low"):
        assert resumed[key] == once[key], key


KEEN = """
import sys
from goldcut.fitting import Settings
Settings.__init__.__defaults__ = (*Settings.__init__.__defaults__[:-1], 0.0)  # write a checkpoint after each step
from goldcut.cli import main
sys.argv[0] = "goldcut"
main()
"""


def epochs(out):
    path = out.with_suffix(".json")
    return len(json.loads(path.read_bytes())["history"]) if path.exists() else 0
