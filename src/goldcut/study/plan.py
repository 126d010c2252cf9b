"""What an audit would do and how long it may take, from a few measured steps."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from goldcut.attacks.decoder import Decoder
from goldcut.attacks.ensemble import Ensemble
from goldcut.attacks.features import attack_shape
from goldcut.attacks.layout import lay_out
from goldcut.attacks.suite import choose_attacks
from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.cuts.taps import read_cuts
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
    for one in suite:
        decoder, times = (one.member, one.count) if isinstance(one, Ensemble) else (one, 1)
        what = f"{one.name} at {len(attacked)} {'cut' if len(attacked) == 1 else 'cuts'}"
        if not isinstance(decoder, Decoder):
            steps.append(Step(what, None, one.name))
            continue
        most = 0.0
        for turn, cut in enumerate(attacked, 1):
            most += times * _most_seconds(decoder, graph, cut, target.input_shape, device) / workers
            progress(f"timing {one.name}", turn, len(attacked))
        what += f", until flat or {times * decoder.settings.max_steps:,} steps"
        steps.append(Step(what, most, one.name))
    return Plan(tuple(steps))


def _most_seconds(attack: Decoder, graph: CutGraph, cut: Cut, shape: tuple[int, int, int], device: str) -> float:
    """Seconds of a training that runs to its cap, on one computing thread."""
    layout = lay_out(cut, graph.cuts)
    z = layout(torch.rand(attack.settings.batch, *cut.shape)).to(device)
    image = attack_shape(shape)
    decoder = build_decoder(tuple(z.shape[1:]), layout.kind, image, SIZES[attack.size], seed=0).to(device)
    images = torch.rand(len(z), *image, device=device)

    def step() -> None:
        made: Tensor = decoder(z)
        mse_loss(made, images).backward()  # type: ignore[no-untyped-call]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure(step) * attack.settings.max_steps
    finally:
        torch.set_num_threads(threads)


def _measure(work: Callable[[], object]) -> float:
    """Seconds of the second call; the first warms up."""
    work()
    start = perf_counter()
    work()
    return perf_counter() - start
