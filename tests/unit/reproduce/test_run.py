"""A table from beginning to end in a tiny size: resumed after an interruption, and what is refused."""

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from goldcut.errors import DataError, RunError
from goldcut.records import json_schema
from goldcut.reproduce.packs import FILES, open_shares
from goldcut.reproduce.run import plan_table, reproduce
from goldcut.reproduce.scale import SCALES, SMALL

TINY = replace(
    SCALES["cpu"],
    name="tiny",
    networks={"cnn4": SMALL["cnn4"]},
    labelled=("cnn4",),
    training_images=120,
    attacker_images=230,
    scanned_images=60,
    victims=40,
    epochs=2,
    batch=32,
    attacks={"ridge": 0},
    seeds=1,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with one pack: 28 px digits of two classes."""
    folder = tmp_path_factory.mktemp("packs")
    noise = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 350), ("test", 60)):
        labels = np.arange(count) % 2
        images = noise.integers(0, 120, (count, 28, 28))
        images[labels == 1, 8:20, 8:20] += 120
        arrays |= {f"x_{part}": images.astype(np.uint8), f"y_{part}": labels}
    np.savez(folder / FILES["natural"], **arrays)
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """The table of label distributions, carried out with an interruption after every step."""
    out = tmp_path_factory.mktemp("table") / "out"
    for interruptions in range(1 + len(plan_table("labels", out, scale=TINY))):
        try:
            return out, reproduce("labels", out=out, data=data, scale=TINY, progress=stop_after_a_step()), interruptions
        except KeyboardInterrupt:
            continue
    raise AssertionError("it never ended")


def stop_after_a_step():
    """A progress that interrupts between two steps once any work has been done."""
    worked = []

    def progress(task, done, total):
        if not task.startswith("table"):
            worked.append(task)
        elif worked:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_table_goes_on_with_what_is_missing(finished, data, tmp_path):
    out, record, interruptions = finished
    assert record.complete
    assert interruptions > 3
    whole = reproduce("labels", out=tmp_path / "whole", data=data, scale=TINY)
    assert whole.rows == record.rows
    assert [(c.id, c.value) for c in whole.claims] == [(c.id, c.value) for c in record.claims]
    before = {path: path.stat().st_mtime_ns for path in (out / "steps").iterdir()}
    reproduce("labels", out=out, scale=TINY, resume=True)
    assert before == {path: path.stat().st_mtime_ns for path in (out / "steps").iterdir()}


def test_the_files_say_what_was_done(finished):
    out, record, _ = finished
    content = json.loads((out / "labels.json").read_bytes())
    jsonschema.validate(content, json_schema("goldcut.reproduce/1"))
    assert content["settings"]["training_images"] == 120
    assert set(content["data_sha256"]) == {"natural"}
    assert all(step["seconds"] is not None for step in content["steps"])
    text = (out / "labels.md").read_text()
    assert all(claim.claim in text for claim in record.claims)
    assert "Not complete" not in text
    assert "head.flatten" not in text


def test_no_image_is_in_two_parts_and_small_ones_are_padded(data):
    shares = open_shares("natural", data, TINY)
    target, attacker, scanned = shares.target.attacker, shares.attack.attacker, shares.attack.scanned
    assert (len(target), len(attacker), len(scanned)) == (120, 230, 60)
    hashes = [set(images.hashes().tolist()) for images in (target, attacker, scanned)]
    assert len(set.union(*hashes)) == sum(map(len, hashes))
    assert scanned.shape == (1, 32, 32)
    assert not scanned.pixels([0])[:, :2].any()


def test_other_sizes_and_other_images_in_the_same_folder_are_refused(finished, data, tmp_path):
    out, _, _ = finished
    with pytest.raises(RunError, match=r"epochs = 2, now it is 3.*another --out"):
        reproduce("labels", out=out, data=data, scale=replace(TINY, epochs=3))
    with np.load(data / FILES["natural"]) as stored:
        arrays = dict(stored)
    arrays["x_test"] = 255 - arrays["x_test"]
    np.savez(tmp_path / FILES["natural"], **arrays)
    step = next((out / "steps").glob("scan-*0.json"))
    kept = step.rename(tmp_path / "kept")
    try:
        with pytest.raises(RunError, match="other natural images"):
            reproduce("labels", out=out, data=tmp_path, scale=TINY)
    finally:
        kept.rename(step)


def test_what_is_missing_is_named_before_anything_runs(tmp_path):
    with pytest.raises(DataError, match=r"cifar10\.npz, kmnist\.npz, mnist\.npz, faces\.npz.*xray\.npz"):
        reproduce("data", out=tmp_path / "out", data=tmp_path)
    with pytest.raises(DataError, match=r"--data is not given: cifar10\.npz"):
        reproduce("labels", out=tmp_path / "out")
    with pytest.raises(RunError, match="no reproduction to go on with"):
        reproduce("edge", out=tmp_path / "out", resume=True)
    assert not (tmp_path / "out").exists()


def test_the_published_size_needs_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RunError, match=r"GPU.*--scale cpu"):
        reproduce("labels", out=tmp_path / "out", data=tmp_path, scale="paper")


def test_images_of_another_size_than_the_published_are_refused(data):
    with pytest.raises(DataError, match="28x28 pixels and the paper scale has 64x64"):
        open_shares("natural", data, SCALES["paper"])


def test_an_unknown_scale_names_the_known(tmp_path):
    with pytest.raises(RunError, match="cpu, paper, quick"):
        reproduce("labels", out=tmp_path, scale="huge")
