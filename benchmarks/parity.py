"""Peers' inverse networks with their published settings against ours: same edge, same images, same machine.

    python -m benchmarks.targets he_cnn npz:CIFAR.npz --out runs/he_cnn.safetensors
    python -m benchmarks.parity npz:CIFAR.npz --checkpoint runs/he_cnn.safetensors [--epochs-scale 0.1]

The edge is the CIFAR-10 network of He et al. up to ReLU22 (`block2`). The trainings share the process and take turns of
a second, always the one that has used least, so that other load on the machine hits all alike; scoring stops the clock.
After each round a training is scored on the test images with the state that its *selection* images prefer; for the
peers too, which chose it on test images. Seconds are the processor's, which other load hardly changes; they are seconds
of a clock too where torch has one thread. Each prints its points as they come and its curve when it ends; then for each
pair at what share of the peer's time ours is as good as the peer at its best, and both errors when the peer has ended.
"""

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time
from unittest.mock import patch

import click
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.targets import HeCNN
from goldcut.attacks import ATTACKS, Attack, Decoder, Inverse, View, attack_cuts
from goldcut.attacks import decoder as decoder_module
from goldcut.attacks.base import BATCH, selection_error
from goldcut.cuts import CutGraph, find_cuts, read_cuts
from goldcut.fitting import batch_index
from goldcut.networks.decoders import seeded_weights
from goldcut.networks.deconvolution import build_deconvolution
from goldcut.progress import Progress, silent
from goldcut.study.attack import divide_parts
from goldcut.study.scan import open_sources

MODEL = f"{Path(__file__).parent / 'targets.py'}:he_cnn"
CUT = "block2"
SLICE_SECONDS = 1.0

HE_EPOCHS, HE_BATCH, HE_RATE, HE_HALVED_EVERY = 50, 32, 1e-3, 20
"""He, Zhang, Lee 2019, inverse network at ReLU22: Adam, the rate halved every 20 epochs, pixels standardised."""

GPZ_EPOCHS, GPZ_BATCH, GPZ_RATE, GPZ_BETAS, GPZ_FACTOR, GPZ_PATIENCE = 100, 128, 1e-2, (0.5, 0.999), 0.5, 8
"""Liu et al. 2026, their scripts: Adam with amsgrad, the rate halved when 8 epochs brought nothing."""


@dataclass
class Turns:
    """Lets one training run at a time and measures what each has used; the one that has used least is next."""

    used: dict[str, float]
    started: float = 0.0
    turn: str | None = None
    change: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, name: str) -> None:
        with self.change:
            self.turn = self.turn or name
            self.change.wait_for(lambda: self.turn == name)
            self.started = process_time()

    def tick(self, name: str) -> None:
        """Called after each step: hands over when the slice is used up."""
        if process_time() - self.started >= SLICE_SECONDS:
            self.stop(name)
            self.hand_over()
            self.wait(name)

    def stop(self, name: str) -> None:
        self.used[name] += process_time() - self.started
        self.started = process_time()

    def hand_over(self) -> None:
        with self.change:
            self.turn = min(self.used, key=lambda one: self.used[one], default=None)
            self.change.notify_all()

    @contextmanager
    def run(self, name: str) -> Iterator[None]:
        self.wait(name)
        try:
            yield
        finally:
            self.stop(name)
            del self.used[name]
            self.hand_over()


@dataclass
class Course:
    """Curve of one training: (seconds of the processor, test MSE of the state that is best on the selection images)."""

    test: tuple[Tensor, Tensor]
    turns: Turns
    name: str
    best: float = float("inf")
    points: list[tuple[float, float]] = field(default_factory=list)

    def score(self, view: View, invert: Callable[[Tensor], Tensor]) -> float:
        """The selection error, which costs time; and on the side the test error, which does not."""
        value = selection_error(view, invert)
        self.turns.stop(self.name)
        if value < self.best:
            self.best = value
            z, images = self.test
            made = torch.cat([invert(part).clamp(0, 1) for part in torch.split(z, BATCH)])
            self.points.append((self.turns.used[self.name], float(functional.mse_loss(made, images))))
            seconds, mse = self.points[-1]
            click.echo(f"{self.name}: {mse:.6f} after {seconds:.1f} s", err=True)
        self.turns.started = process_time()
        return value

    def time_to(self, mse: float) -> float | None:
        """Seconds until the test error was that low for the first time."""
        return next((seconds for seconds, reached in self.points if reached <= mse), None)

    def at(self, seconds: float) -> float | None:
        """Test error after so many seconds."""
        return next((reached for since, reached in reversed(self.points) if since <= seconds), None)


@dataclass(frozen=True)
class Peer(Attack):
    """A published inverse network with its published training.

    Attributes:
        of: "he" or "gpz".
        scale: Share of the published epochs, and of the waits of the schedule.
    """

    of: str
    scale: float

    @property
    def name(self) -> str:
        return self.of

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        build, batch, epochs = (
            (build_he, HE_BATCH, HE_EPOCHS) if self.of == "he" else (build_gpz, GPZ_BATCH, GPZ_EPOCHS)
        )
        network, invert, optimiser, scheduler = build(view, seed, self.scale)
        epochs = max(1, round(self.scale * epochs))
        steps = len(view.training) // batch
        score = float("nan")
        for epoch in range(epochs):
            network.train()
            for step in range(epoch * steps, (epoch + 1) * steps):
                index = batch_index(len(view.training), batch, step, seed)
                loss = functional.mse_loss(invert(view.training.representations(index)), view.training.targets(index))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                progress(self.name, step + 1, epochs * steps)
            network.eval()
            with torch.no_grad():
                score = decoder_module.selection_error(view, invert)
            scheduler(score)
        return Inverse(invert, selection_mse=score, converged=True, steps=epochs * steps)


Built = tuple[nn.Module, Callable[[Tensor], Tensor], torch.optim.Optimizer, Callable[[float], None]]


def build_he(view: View, seed: int, scale: float) -> Built:
    """Two transposed convolutions without an output function; pixels standardised as the edge has them."""
    channels = view.z_shape[0]
    with seeded_weights(seed):
        network = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(channels // 2, view.image_shape[0], 3, 1, 1),
        )
    mean, std = (torch.tensor(part)[:, None, None] for part in (HeCNN.input_mean, HeCNN.input_std))
    optimiser = torch.optim.Adam(network.parameters(), lr=HE_RATE)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, max(1, round(scale * HE_HALVED_EVERY)), 0.5)
    return network, lambda z: network(z) * std + mean, optimiser, lambda _: schedule.step()


def build_gpz(view: View, seed: int, scale: float) -> Built:
    """The plain deconvolution decoder as published: Z as it comes, no start at the mean image."""
    network = build_deconvolution(view.z_shape, view.kind, view.image_shape, seed=seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=GPZ_RATE, betas=GPZ_BETAS, amsgrad=True)
    patience = max(1, round(scale * GPZ_PATIENCE))
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=GPZ_FACTOR, patience=patience)
    return network, network, optimiser, schedule.step


@dataclass(frozen=True)
class Timed(Attack):
    """An attack that waits for its turn."""

    inner: Attack
    course: Course = field(repr=False)

    @property
    def name(self) -> str:
        return self.inner.name

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        def tell(task: str, done: float, total: float) -> None:
            progress(task, done, total)
            self.course.turns.tick(self.name)

        with self.course.turns.run(self.name):
            inverse = self.inner.train(view, seed=seed, progress=tell)
        points = [[round(seconds, 1), round(mse, 6)] for seconds, mse in self.course.points]
        print(json.dumps({"curve": self.name, "steps": inverse.steps, "points": points}), flush=True)
        return inverse


def score_by_turn(courses: dict[str, Course], turns: Turns) -> Callable[[View, Callable[[Tensor], Tensor]], float]:
    """The selection error for whoever has the turn."""

    def score(view: View, invert: Callable[[Tensor], Tensor]) -> float:
        assert turns.turn is not None
        return courses[turns.turn].score(view, invert)

    return score


def compare(peer: Course, ours: Course) -> dict[str, object]:
    """When ours is as good as the peer at its best, and both when the peer has reached that."""
    seconds, mse = peer.points[-1]
    reached, equal = ours.time_to(mse), ours.at(seconds)
    return {
        "benchmark": "parity",
        "peer": peer.name,
        "ours": ours.name,
        "peer_mse": round(mse, 6),
        "peer_seconds": round(seconds, 1),
        "share_of_its_time": None if reached is None else round(reached / seconds, 3),
        "our_mse_at_equal_time": None if equal is None else round(equal, 6),
        "our_mse": round(ours.points[-1][1], 6),
        "our_seconds": round(ours.points[-1][0], 1),
    }


def read_cut(graph: CutGraph, images: Tensor) -> Tensor:
    """Z of the test images."""
    seen: list[Tensor] = []
    for part in torch.split(images, BATCH):
        read_cuts(graph, part, [CUT], lambda _, z: seen.append(z.clone()))
    return torch.cat(seen)


@click.command(help=__doc__)
@click.argument("data")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="of benchmarks.targets he_cnn")
@click.option("--epochs-scale", type=float, default=1.0, show_default=True, help="share of everybody's training")
@click.option("--images", type=int, help="at most so many images of the attacker")
@click.option("--tests", type=int, default=1000, show_default=True, help="test images")
@click.option("--peers", default="he,gpz", show_default=True)
@click.option("--ours", default="decoder-S,decoder-M", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(
    data: str,
    checkpoint: Path | None,
    epochs_scale: float,
    images: int | None,
    tests: int,
    peers: str,
    ours: str,
    seed: int,
) -> None:
    target, pack = open_sources(MODEL, data, checkpoint=checkpoint)
    if images is not None and pack.attacker is not None:
        pack = replace(pack, attacker=pack.attacker.subset(range(min(images, len(pack.attacker))), "few"))
    parts = divide_parts(target, pack, None, tests, seed)
    graph = find_cuts(target.model, target.input_shape)
    truth = parts.victims.batch(range(len(parts.victims)))
    z = read_cut(graph, truth)
    contenders: list[Attack] = [Peer(name, epochs_scale) for name in peers.split(",")]
    for name in ours.split(","):
        attack = ATTACKS[name]
        assert isinstance(attack, Decoder)
        steps = max(8, round(epochs_scale * attack.settings.max_steps))
        settings = replace(attack.settings, max_steps=steps, round_steps=max(1, min(100, steps // 8)))
        contenders.append(replace(attack, settings=settings))
    turns = Turns({one.name: 0.0 for one in contenders})
    courses = {one.name: Course((z, truth), turns, one.name) for one in contenders}
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(decoder_module, "selection_error", score_by_turn(courses, turns)),
    ):
        leakage = attack_cuts(
            graph,
            [graph.cut(CUT)],
            parts,
            [Timed(one, courses[one.name]) for one in contenders],
            seed=seed,
            folder=Path(folder),
            memory_bytes=8 << 30,
            workers=len(contenders) + 1,
        )
    for failure in leakage.failures:
        print(json.dumps({"attack": failure.attack, "failed": failure.reason}))
    for peer in peers.split(","):
        for name in ours.split(","):
            print(json.dumps({**compare(courses[peer], courses[name]), "load": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
