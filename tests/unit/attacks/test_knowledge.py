"""What an attacker is granted by what it knows, and attacks that start from others."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from goldcut.attacks import Attack, Decoder, Inverse, View, attack_cuts
from goldcut.attacks.shelf import Shelf
from goldcut.cuts import find_cuts
from goldcut.fitting import Settings
from goldcut.progress import Progress, silent
from goldcut.records import KNOWLEDGE, Knowledge
from goldcut.sources.images import Parts

QUICK = Settings(max_steps=12, batch=32, round_steps=3)


@dataclass(frozen=True)
class Asking(Attack):
    """Shows its view to a function and paints the mean image of the first victims."""

    asks: Knowledge = "queries"
    scored: int | None = None
    waits: bool = False
    look: Callable[[View], None] = lambda view: None

    def __repr__(self) -> str:
        return f"Asking({self.name})"

    @property
    def name(self) -> str:
        return f"asking-{self.asks}"

    @property
    def needs(self) -> Knowledge:
        return self.asks

    @property
    def victims(self) -> int | None:
        return self.scored

    @property
    def follows(self) -> bool:
        return self.waits

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        self.look(view)
        mean = view.training.targets(slice(None)).mean(0)
        return Inverse(lambda z: mean.expand(len(z), -1, -1, -1), selection_mse=0.5, converged=True)


def carry_out(net: nn.Module, parts: Parts, folder: Path, attacks: tuple[Attack, ...], cut: str = "deep"):
    graph = find_cuts(net, (1, 12, 12))
    leakage = attack_cuts(graph, [graph.cut(cut)], parts, attacks, seed=0, folder=folder, memory_bytes=1 << 30)
    assert not leakage.failures
    return leakage


@pytest.fixture
def views(net: nn.Module, parts: Parts, tmp_path: Path) -> dict[str, View]:
    seen: dict[str, View] = {}
    attacks = tuple(Asking(level, look=lambda view, level=level: seen.setdefault(level, view)) for level in KNOWLEDGE)
    carry_out(net, parts, tmp_path, attacks)
    return seen


def test_each_level_grants_what_it_says_and_no_more(views: dict[str, View]):
    granted = {
        level: [name for name in ("query", "edge", "blank", "cloud") if getattr(view, name) is not None]
        for level, view in views.items()
    }
    assert granted == {
        "none": ["cloud"],
        "architecture": ["blank", "cloud"],
        "queries": ["query", "cloud"],
        "weights": ["query", "edge", "blank", "cloud"],
    }


def test_who_cannot_ask_has_images_without_their_z(views: dict[str, View]):
    for level in ("none", "architecture"):
        view = views[level]
        assert view.z_shape == views["queries"].z_shape
        assert view.mirrored is None
        assert view.training.labels is None
        with pytest.raises((NotImplementedError, RuntimeError)):
            view.training.representations(slice(0, 4)).sum().item()
        assert view.observed is not None
        assert torch.isfinite(view.observed).all()


def test_the_edge_gives_gradients_and_leaves_the_model_alone(views: dict[str, View], net: nn.Module):
    view = views["weights"]
    images = view.selection.targets(slice(0, 5)).requires_grad_()
    z = view.edge(images)
    assert torch.allclose(z, view.selection.representations(slice(0, 5)), atol=1e-5)
    assert torch.equal(view.query(images), z.detach())
    z.square().sum().backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


def test_the_cloud_turns_z_into_the_logits(views: dict[str, View], net: nn.Module):
    view = views["none"]
    images = views["weights"].selection.targets(slice(0, 5))
    z = views["weights"].selection.representations(slice(0, 5)).requires_grad_()
    logits = view.cloud(z)
    assert torch.allclose(logits, net(images), atol=1e-5)
    logits.sum().backward()
    assert z.grad.abs().sum() > 0


def test_an_attack_that_follows_starts_from_the_finished_ones(net: nn.Module, parts: Parts, tmp_path: Path):
    decoder, starts = Decoder("S", QUICK), []
    follower = Asking("weights", waits=True, scored=20, look=lambda view: starts.append(view.starts))
    leakage = carry_out(net, parts, tmp_path, (follower, decoder))
    ((start,),) = starts
    learned = next(one for one in leakage.results if one.attack == "decoder-S")
    assert start.selection_mse == learned.selection_mse
    # Added later, it gets the same start without a step of training.
    steps: list[str] = []
    later = replace(follower, waits=True, look=lambda view: starts.append(view.starts))
    graph = find_cuts(net, (1, 12, 12))
    for path in tmp_path.glob("*asking*"):
        path.unlink()
    attack_cuts(
        graph,
        [graph.cut("deep")],
        parts,
        (later, decoder),
        seed=0,
        folder=tmp_path,
        memory_bytes=1 << 30,
        progress=lambda task, *_: steps.append(task),
    )
    assert starts[1][0].selection_mse == learned.selection_mse
    assert not [task for task in steps if task.startswith("decoder")]
    z = torch.randn(3, *graph.cut("deep").shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(starts[1][0](z), start(z))


def test_an_attack_that_follows_starts_from_what_was_finished_before(net: nn.Module, parts: Parts, tmp_path: Path):
    decoder, other, seen = Decoder("S", QUICK), Decoder("XS", QUICK), []
    follower = Asking("queries", waits=True, look=lambda view: seen.append([one.attack for one in view.starts]))
    graph = find_cuts(net, (1, 12, 12))

    def call(*attacks: Attack, folder: Path = tmp_path) -> None:
        cuts = [graph.cut("deep")]
        known = (decoder, other, follower)
        attack_cuts(graph, cuts, parts, attacks, others=known, seed=0, folder=folder, memory_bytes=1 << 30)

    call(decoder)
    call(follower)
    call(follower)
    assert seen == [["decoder-S"]]  # the third call found it done
    call(other, follower)  # there is more to start from now
    assert seen[1:] == [["decoder-S", "decoder-XS"]]
    call(follower)
    assert len(seen) == 2
    call(other, decoder, follower, folder=tmp_path / "other order")
    call(follower, folder=tmp_path / "other order")
    assert len(seen) == 3


def test_with_the_weights_an_attack_starts_from_those_that_follow_too(net: nn.Module, parts: Parts, tmp_path: Path):
    seen: dict[str, list[str]] = {}
    last, stack = (
        Asking(asks, waits=True, look=lambda view, asks=asks: seen.setdefault(asks, [s.attack for s in view.starts]))
        for asks in ("weights", "queries")
    )
    carry_out(net, parts, tmp_path, (last, stack, Decoder("S", QUICK)))
    assert seen == {"queries": ["decoder-S"], "weights": ["asking-queries", "decoder-S"]}


def test_an_attack_may_be_scored_on_the_first_victims(net: nn.Module, parts: Parts, tmp_path: Path):
    some = carry_out(net, parts, tmp_path / "some", (Asking(scored=20),)).results[0]
    every = carry_out(net, parts, tmp_path / "every", (Asking(),)).results[0]
    assert (some.victims, every.victims) == (20, len(parts.victims))
    truth = parts.victims.batch(list(range(20))).double()
    mean = (parts.training.batch(list(range(len(parts.training)))).double()).mean(0)
    assert some.mse == pytest.approx(float((truth - mean).square().mean()), rel=1e-4)
    assert some.recovered == pytest.approx(0, abs=1e-4)
    assert some.recovered_high - some.recovered_low <= 1


def test_a_shelf_makes_each_thing_once():
    shelf, made, gate = Shelf(), [], threading.Event()

    def make(folder: Path | None) -> Tensor:
        gate.wait(5)
        made.append(folder)
        return torch.ones(1)

    with ThreadPoolExecutor(4) as pool:
        taken = [pool.submit(shelf.take, "generator", make) for _ in range(4)]
        gate.set()
        first, *others = (one.result() for one in taken)
    assert made == [None]
    assert all(one is first for one in others)
    assert shelf.take("another", lambda _: 3) == 3
