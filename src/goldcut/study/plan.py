"""What an audit would do and how long it may take, from a few measured steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from goldcut.attacks.attributes import Probe
from goldcut.attacks.base import Attack
from goldcut.attacks.decoder import Decoder
from goldcut.attacks.features import attack_shape
from goldcut.attacks.layout import lay_out
from goldcut.attacks.search import PIECE
from goldcut.attacks.suite import choose_attacks
from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.cuts.split import split_at
from goldcut.cuts.taps import read_cuts
from goldcut.fitting import build_optimiser
from goldcut.networks.decoders import SIZES, build_decoder
from goldcut.progress import Progress, silent
from goldcut.records import Cut, Knowledge
from goldcut.sources.images import Pack
from goldcut.sources.models import Target
from goldcut.study.attack import divide_parts, name_cuts

SCAN_PASSES = 2.2
"""Forward passes that a scan is worth: one with statistics, and part of one or more for the rank."""


@dataclass(frozen=True)
class Step:
    """A piece of the plan.

    Attributes:
        what: In words.
        seconds: Estimate of the wall clock; for trainings the most they may take; None where there is no estimate.
        attack: Name of the attack; None for what is no attack.
    """

    what: str
    seconds: float | None
    attack: str | None = None


@dataclass(frozen=True)
class Plan:
    """The pieces in order."""

    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """Sum of the estimates."""
        return sum(step.seconds or 0.0 for step in self.steps)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The attacks that the sum does not cover."""
        return tuple(step.attack for step in self.steps if step.attack and step.seconds is None)


def make_plan(
    target: Target,
    pack: Pack,
    *,
    level: str,
    cuts: str = "all",
    attacks: str,
    effort: str,
    knowledge: Knowledge = "weights",
    aux: str | None,
    victims: int,
    device: str,
    seed: int,
    progress: Progress = silent,
) -> Plan:
    """Say what an audit would do; runs the model on one batch and each decoder for two steps.

    With "zone" every cut of the level is counted, since the zone is not known before the scan.

    Raises:
        GoldcutError: What the audit itself would refuse at once.
    """
    graph = find_cuts(target.model.to(device), target.input_shape)
    scanned = graph.at_level(level)
    named = None if cuts in ("all", "zone") else name_cuts(scanned, cuts)
    attacked = [cut for cut in scanned if named is None or cut.name in named]
    suite = choose_attacks(attacks, effort, knowledge)
    parts = divide_parts(target, pack, aux, victims, seed)
    batch = pack.scanned.batch(np.arange(min(64, len(pack.scanned)))).to(device)
    forward = _measure(lambda: read_cuts(graph, batch, (), lambda *_: None)) / len(batch)
    attacker = len(parts.training) + len(parts.selection) + len(parts.victims)
    workers = torch.get_num_threads() if device == "cpu" else 1
    steps = [
        Step(f"scan {len(pack.scanned)} images at {len(scanned)} cuts", SCAN_PASSES * forward * len(pack.scanned)),
        Step(f"Z of {attacker} images for the attacks", forward * attacker),
    ]
    price = Price(graph, target.input_shape, device)
    for one in suite:
        what = f"{one.name} at {len(attacked)} {'cut' if len(attacked) == 1 else 'cuts'}"
        most: float | None = 0.0
        for turn, cut in enumerate(attacked, 1):
            seconds = price.most_seconds(one, cut)
            most = None if most is None or seconds is None else most + seconds / workers
            progress(f"timing {one.name}", turn, len(attacked))
        if most is not None and (trained := _most_steps(one)):
            what += f", until flat or {trained:,} steps"
        steps.append(Step(what, most, one.name))
    return Plan(tuple(steps))


def _most_steps(attack: Attack | Probe) -> int:
    """Steps of the decoders of an attack; 0 where it trains none."""
    if isinstance(attack, Decoder):
        return attack.settings.max_steps
    work = attack.work if isinstance(attack, Attack) else None
    return sum(map(_most_steps, work.trainings)) if work else 0


@dataclass(eq=False)
class Price:
    """What attacks cost at the cuts of a model, from one measured step of each kind, on one computing thread.

    Attributes:
        graph: Its model is on `device`.
        shape: (C, H, W) of the images.
        device: Where the attacks compute.
    """

    graph: CutGraph
    shape: tuple[int, int, int]
    device: str
    _known: dict[tuple[str, str], float] = field(default_factory=dict)

    def most_seconds(self, attack: Attack | Probe, cut: Cut) -> float | None:
        """Seconds of an attack that goes to its caps; None where nobody has counted what it does."""
        if isinstance(attack, Decoder):
            key = f"decoder-{attack.size} {attack.settings.batch}"
            return attack.settings.max_steps * self._once(key, cut, lambda: self._decoder_step(attack, cut))
        work = attack.work if isinstance(attack, Attack) else None
        if work is None:
            return None
        total = 0.0
        if work.edge_images:
            total += work.edge_images * self._once("edge", cut, lambda: self._seconds_an_image(cut))
        if work.model_images:
            last = self.graph.cuts[-1]
            total += work.model_images * self._once("edge", last, lambda: self._seconds_an_image(last))
        trained = [self.most_seconds(one, cut) for one in work.trainings]
        return None if None in trained else total + sum(one for one in trained if one is not None)

    def _once(self, what: str, cut: Cut, measure: Callable[[], float]) -> float:
        if (what, cut.name) not in self._known:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                self._known[what, cut.name] = measure()
            finally:
                torch.set_num_threads(threads)
        return self._known[what, cut.name]

    def _decoder_step(self, attack: Decoder, cut: Cut) -> float:
        layout = lay_out(cut, self.graph.cuts)
        z = layout(torch.rand(attack.settings.batch, *cut.shape)).to(self.device)
        image = attack_shape(self.shape)
        decoder = build_decoder(tuple(z.shape[1:]), layout.kind, image, SIZES[attack.size], seed=0).to(self.device)
        images = torch.rand(len(z), *image, device=self.device)
        optimiser = build_optimiser(decoder, attack.settings, attack.settings.rate)

        def step() -> None:
            made: Tensor = decoder(z)
            optimiser.zero_grad()
            mse_loss(made, images).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

        return _measure(step)

    def _seconds_an_image(self, cut: Cut) -> float:
        """Forward through the edge half, and the gradient of the images."""
        edge = self.graph.module if cut.level == "output" else split_at(self.graph, cut.name).edge
        images = torch.rand(PIECE, *self.shape, device=self.device, requires_grad=True)

        def step() -> None:
            answer = edge(images).sum()
            if answer.requires_grad:  # else there is nothing to search along, and a search ends at once
                torch.autograd.grad(answer, images, allow_unused=True)

        return _measure(step) / len(images)


def _measure(work: Callable[[], object]) -> float:
    """Seconds of the second call; the first warms up."""
    work()
    start = perf_counter()
    work()
    return perf_counter() - start
