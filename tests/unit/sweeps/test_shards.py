"""A scan in shards: the same record, shards that are lost or fail, and what cannot be shared out."""

from itertools import pairwise

import numpy as np
import pytest

from goldcut.cuts.taps import read_cuts
from goldcut.errors import SweepError
from goldcut.study.scan import scan
from goldcut.sweeps import shards as room
from goldcut.sweeps.checks import open_source
from goldcut.sweeps.executors import Executor, Outcome, attempt
from goldcut.sweeps.shards import scan_in_shards, split
from goldcut.sweeps.trials import ModelSource
from scan_records import assert_same_record

MODEL = """
import torch
from torch import nn


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(256, 8), nn.Linear(8, 3)

    def forward(self, x):
        z = self.first(x.flatten(1))
        return self.last(torch.relu(z + 0.1 * torch.randn_like(z)))


def build(num_classes=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, num_classes))


def noisy(num_classes=3):
    return Noisy()
"""

IMAGES = 300
DATA = "npz:images.npz"


class Here(Executor):
    """Carries out one task at a time, at once; loses the first try of some, and every try of others."""

    def __init__(self, work, once=(), ever=()):
        self.work, self.once, self.ever = work, set(once), set(ever)
        self.ended, self.begun = [], []

    @property
    def capacity(self):
        return 2

    def start(self, id, task, folder):
        self.begun.append(id)
        if id in self.once | self.ever:
            self.once.discard(id)
            self.ended.append(Outcome(id, lost="its worker died"))
        else:
            self.ended.append(attempt(self.work, id, task, folder))

    def wait(self, seconds):
        ended, self.ended = self.ended, []
        return ended

    def close(self):
        self.ended = []


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A model in a folder with 300 images of three classes, which is the current one; batches of 32."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    generator = np.random.default_rng(0)
    np.savez(
        "images.npz",
        x=generator.integers(0, 256, (IMAGES, 16, 16), dtype=np.uint8),
        y=generator.permutation(np.arange(IMAGES) % 3),
    )
    monkeypatch.setattr("goldcut.study.scan.BATCH_SIZE", 32)
    return ModelSource(spec="model.py:build")


@pytest.fixture
def use(monkeypatch):
    """Have the shards carried out here, and return who does it."""
    made = []

    def use(**losses):
        def make(work, folder, **flags):
            made.append(Here(work, **losses))
            return made[-1]

        monkeypatch.setattr(room, "make_executor", make)
        return made

    return use


def test_shards_are_whole_batches_and_all_of_them():
    for images, batch, shards in [(1000, 128, 3), (128, 128, 4), (129, 128, 4), (7, 1, 7), (1, 128, 1)]:
        parts = split(images, batch, shards)
        assert parts[0][0] == 0
        assert parts[-1][1] == images
        assert all(stop == start for (_, stop), (start, _) in pairwise(parts))
        assert all(start < stop and start % batch == 0 for start, stop in parts)
        assert len(parts) == min(shards, -(-images // batch))


def test_a_lost_shard_is_tried_again_and_the_record_is_that_of_one_process(source, use, tmp_path):
    target, pack = open_source(source, DATA)
    scan(target, pack, out=tmp_path / "whole")
    for count in (1, 2, 3):
        made = use(once=["0"])
        scan_in_shards(source, DATA, out=tmp_path / f"{count}", shards=count)
        assert made[-1].begun.count("0") == 2
        assert len(made[-1].begun) == count + 1
        assert_same_record(tmp_path / f"{count}", tmp_path / "whole")
        assert not (tmp_path / f"{count}" / "shards").exists()


def test_what_is_done_of_an_interrupted_scan_is_not_done_again(source, use, tmp_path, monkeypatch):
    read_images = []
    real = room.tally_cuts

    def count(*arguments, bookmark, span, **flags):
        read_images.append((span, bookmark.path.exists()))
        return real(*arguments, bookmark=bookmark, span=span, **flags)

    monkeypatch.setattr(room, "tally_cuts", count)
    use(ever=["192"])
    with pytest.raises(SweepError, match="images 192 to 300 were lost twice: its worker died"):
        scan_in_shards(source, DATA, out=tmp_path / "run", shards=3)
    assert not (tmp_path / "run" / "scan.json").exists()
    use()
    read_images.clear()
    passed = []
    monkeypatch.setattr("goldcut.probe.tally.read_cuts", spy(passed))
    scan_in_shards(source, DATA, out=tmp_path / "run", shards=3)
    assert read_images == [((0, 96), True), ((96, 192), True), ((192, 300), False)]
    assert sum(passed) == 128 + (300 - 192), "the batch of the paper's radius and the shard that was left"
    assert (tmp_path / "run" / "scan.json").exists()


def test_a_shard_that_fails_is_told_in_its_own_words(source, tmp_path, monkeypatch):
    def spoil(work, folder, **flags):
        np.savez("images.npz", x=np.zeros((IMAGES, 16, 16), np.uint8), y=np.arange(IMAGES) % 3)
        return Here(work)

    monkeypatch.setattr(room, "make_executor", spoil)
    with pytest.raises(SweepError, match=r"model\.py:build or npz:images\.npz is not what the command has read"):
        scan_in_shards(source, DATA, out=tmp_path / "run", shards=2)


@pytest.mark.parametrize(("spec", "defense"), [("model.py:noisy", None), ("model.py:build", "noise:0.3")])
def test_noise_cannot_be_shared_out(source, use, tmp_path, spec, defense):
    made = use()
    with pytest.raises(SweepError, match="is drawn anew whenever an image passes"):
        scan_in_shards(ModelSource(spec=spec), DATA, out=tmp_path / "run", shards=2, defense=defense)
    assert not made


def spy(passed):
    """The pass of a batch, noting its size."""

    def counting(graph, images, *arguments):
        passed.append(len(images))
        return read_cuts(graph, images, *arguments)

    return counting
