"""Turns and curves of the parity benchmark; its trainings are measured by running it."""

import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from goldcut.attacks.base import Sample, View

sys.path.insert(0, str(Path(__file__).parents[3]))

from benchmarks import parity
from benchmarks.parity import Course, Peer, Turns, compare


def test_one_runs_at_a_time_and_the_one_that_has_used_least_is_next(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parity, "SLICE_SECONDS", 0.0)
    turns = Turns({"a": 0.0, "b": 0.0, "c": 0.0})
    inside, most, order = [0], [0], []

    def work(name: str) -> None:
        with turns.run(name):
            for _ in range(5):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                order.append(name)
                time.sleep(0.002)
                inside[0] -= 1
                turns.tick(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most[0] == 1
    assert sorted(order) == ["a"] * 5 + ["b"] * 5 + ["c"] * 5
    assert set(order[:3]) == {"a", "b", "c"}
    assert not turns.used


def test_a_training_that_fails_hands_over():
    turns = Turns({"a": 0.0, "b": 0.0})

    def fail() -> None:
        with pytest.raises(ValueError, match="broken"), turns.run("a"):
            raise ValueError("broken")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join(20)
    with turns.run("b"):
        assert turns.turn == "b"


def make_course(name: str, *points: tuple[float, float]) -> Course:
    return Course((torch.empty(0), torch.empty(0)), Turns({name: 0.0}), name, points=list(points))


def test_pairs_are_compared_at_equal_error_and_at_equal_time():
    peer = make_course("he", (10.0, 0.05), (40.0, 0.03))
    found = compare(peer, make_course("decoder-S", (5.0, 0.04), (12.0, 0.028), (60.0, 0.02)))
    assert found["share_of_its_time"] == pytest.approx(12 / 40)
    assert found["our_mse_at_equal_time"] == 0.028
    assert found["our_mse"] == 0.02
    worse = compare(peer, make_course("decoder-S", (50.0, 0.04)))
    assert worse["share_of_its_time"] is None
    assert worse["our_mse_at_equal_time"] is None


@pytest.mark.parametrize("of", ["he", "gpz"])
def test_peers_learn(of: str):
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(300, 3, 4, 4, generator=generator) * 255).to(torch.uint8)
    images = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    z = torch.nn.functional.avg_pool2d(images.float() / 255, 2).repeat(1, 8, 1, 1)
    view = View(Sample(images[:256], z[:256]), Sample(images[256:], z[256:]), kind="map")
    before = torch.random.get_rng_state()
    first, later = (Peer(of, scale).train(view, seed=0).selection_mse for scale in (0.02, 0.1))
    mean = float((view.selection.targets(slice(None)) - 0.5).square().mean())
    assert later < min(first, mean)
    assert torch.equal(torch.random.get_rng_state(), before)
