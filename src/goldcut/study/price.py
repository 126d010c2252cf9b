"""The two sides of a promise, as measured: what it costs in accuracy, and how far attackers come in spite of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from goldcut.attacks.attributes import Probe
from goldcut.attacks.base import Attack
from goldcut.attacks.evaluate import attack_cuts
from goldcut.cuts.defended import attach
from goldcut.cuts.graph import CutGraph
from goldcut.cuts.split import split_at
from goldcut.defenses.noise import Noise
from goldcut.metrics.bootstrap import bootstrap_mean
from goldcut.probe.promise import Spread, bits, clip_norm, odds
from goldcut.progress import Progress
from goldcut.records import AttackResult, Cut, GalleryOdds
from goldcut.sources.images import Parts

BATCH_SIZE = 128

TRIALS = 1000
"""Images that the best attacker is asked about."""


class Sent(nn.Module):
    """What the device does to Z: clip its norm, add the noise."""

    def __init__(self, norm: float, sigma: float, seed: int) -> None:
        super().__init__()
        self.norm, self.noise = norm, Noise(sigma, seed, laplace=False)

    def forward(self, z: Tensor) -> Tensor:
        """Z as it leaves."""
        sent: Tensor = self.noise(clip_norm(z, self.norm))
        return sent


def attack_sent(
    graph: CutGraph,
    cut: Cut,
    parts: Parts,
    attacks: Sequence[Attack | Probe],
    *,
    norm: float,
    sigma: float,
    releases: int,
    logits: bool,
    folder: Path,
    memory: int,
    device: str,
    seed: int,
    run: str,
    progress: Progress,
) -> tuple[AttackResult, ...]:
    """What trained attackers, who know clipping and noise, recover from all releases of an image.

    Args:
        graph: Of the model.
        cut: Where Z is sent.
        parts: The attacker's images and the victims.
        attacks: From choose_attacks; nothing is done without one.
        norm: What Z is clipped to.
        sigma: Of the noise per element.
        releases: How many noisy Z of an image the attacker averages.
        logits: Whether the model's output is logits.
        folder: Where finished work is kept.
        memory: Most bytes for Z.
        device: Where the model is.
        seed: Of the attacks and of the noise.
        run: Hash of the scan.
        progress: Told what is done.
    """
    if not attacks:
        return ()
    leakage = attack_cuts(
        attach(graph, {cut.name: Sent(norm, sigma, seed)}, "promise"),
        [cut],
        parts,
        attacks,
        seed=seed,
        folder=folder,
        memory_bytes=memory,
        logits=logits,
        queries=releases,
        device=device,
        run=f"{run} {norm} {sigma}",
        progress=progress,
    )
    return leakage.results


def cloud_at(graph: CutGraph, cut: Cut) -> Callable[[Tensor], Tensor]:
    """The cloud half at a cut; nothing is left to do behind the output."""
    if cut.level == "output":
        return lambda z: z
    return split_at(graph, cut.name).cloud


def accuracy_of(
    cloud: Callable[[Tensor], Tensor], cut: Cut, sent: Float[Tensor, "n d"], labels: Int[Tensor, " n"], device: str
) -> float:
    """How often a cloud half is right about what is sent."""
    answers = []
    with torch.no_grad():
        for start in range(0, len(sent), BATCH_SIZE):
            part = sent[start : start + BATCH_SIZE].view(-1, *cut.shape).to(device)
            answers.append(cloud(part).flatten(1).argmax(1).cpu())
    return float((torch.cat(answers) == labels).double().mean())


def galleries(
    z: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    within: Spread,
    sigma: float,
    releases: int,
    asked: int,
    noise: torch.Generator,
) -> tuple[GalleryOdds, ...]:
    """The promise for the gallery asked for, and beside it the best attacker, for as many images as each class has."""
    known = bits(within, sigma, releases)
    counts = torch.bincount(labels)
    testable = min(asked, int(counts[counts > 0].min()))
    if testable < 3:
        return (GalleryOdds(images=asked, promised=odds(known, asked)),)
    right = _nearest_is_right(z, labels, testable, sigma / releases**0.5, noise)
    low, high = bootstrap_mean(right, seed=0)
    tested = GalleryOdds(
        images=testable,
        promised=odds(known, testable),
        reached=float(right.mean()),
        reached_low=low,
        reached_high=high,
        trials=len(right),
    )
    return (tested,) if testable == asked else (GalleryOdds(images=asked, promised=odds(known, asked)), tested)


def _nearest_is_right(
    z: Float[Tensor, "n d"], labels: Int[Tensor, " n"], gallery: int, sigma: float, noise: torch.Generator
) -> Float[np.ndarray, " trials"]:
    """For images in turn: whether the noisy Z is nearest to its own among `gallery` images of its class."""
    right = []
    for index in torch.randperm(len(z), generator=noise)[:TRIALS].tolist():
        same = (labels == labels[index]).nonzero().flatten()
        others = same[same != index]
        others = others[torch.randperm(len(others), generator=noise)[: gallery - 1]]
        sent = z[index] + sigma * torch.randn(z.shape[1], generator=noise)
        own = torch.dist(sent, z[index])
        right.append(float(bool((torch.linalg.vector_norm(z[others] - sent, dim=1) > own).all())))
    return np.array(right)
