"""A long attack that is interrupted, killed, and started again."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = pytest.mark.slow

FLAGS = ("--attacks", "decoder-S", "--effort", "small", "--victims", "100", "--cuts", "3,output")


def start(files, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "goldcut", *arguments],
        cwd=files,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for(process, folder, pattern, seconds=600):
    """Wait until a file of the run is there while the command still works."""
    limit = time.monotonic() + seconds
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit, f"no {pattern}"
        time.sleep(0.05)


@pytest.fixture
def small_images(files):
    """The images at 8 x 8, so that a training takes a minute."""
    with np.load(files / "images.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(files / "small.npz", **{name: a[:, ::2, ::2] if name[0] == "x" else a for name, a in arrays.items()})
    return "npz:small.npz"


def test_an_attack_goes_on_after_an_interrupt_and_after_a_kill(goldcut, files, small_images, tmp_path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    for folder in (run, whole):
        assert goldcut("scan", "model.py:build", small_images, "--out", str(folder)).code == 0

    process = start(files, "attack", str(run), *FLAGS)
    wait_for(process, run, "attack/*-decoder-S-*.safetensors")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from there" in said

    process = start(files, "attack", str(run), *FLAGS)
    wait_for(process, run, "attack.json")
    finished = {path.name: path.stat().st_mtime_ns for path in run.glob("attack/*-decoder-S.json")}
    process.kill()
    process.communicate(timeout=60)
    assert len(finished) == 1
    partial = json.loads((run / "attack.json").read_bytes())
    assert not partial["complete"]
    assert goldcut("report", str(run)).code == 0

    assert goldcut("attack", str(run), *FLAGS).code == 0
    for name, written in finished.items():
        assert (run / "attack" / name).stat().st_mtime_ns == written
    assert goldcut("attack", str(whole), *FLAGS).code == 0
    resumed, once = (json.loads((folder / "attack.json").read_bytes()) for folder in (run, whole))
    assert resumed["complete"]
    for one, other in zip(resumed["results"], once["results"], strict=True):
        assert (one["cut"], one["attack"], one["steps"]) == (other["cut"], other["attack"], other["steps"])
        assert one["recovered"] == pytest.approx(other["recovered"], abs=1e-3)
