"""Eight cuts attacked together against eight separate runs that cache features too: wall clock and selection MSE.

    python -m benchmarks.attack [--sizes S M] [--steps 100] [--repeats 3] [--images 2000]

One JSON line a size.

Both sides are the public attack_cuts with the same seeds, so they make the same inverses; the separate
runs train one after the other with all threads inside the operators, as a loop over cuts would.
The two sides alternate, the ratio is the median over the repeats. The edge has random weights: the time
of a step does not depend on them.
"""

import argparse
import json
import os
import statistics
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from torch import Tensor, nn

from goldcut.attacks import Decoder, attack_cuts
from goldcut.attacks.suite import ATTACKS
from goldcut.cuts import CutGraph, find_cuts
from goldcut.records import AttackResult
from goldcut.sources.images import Parts, divide, from_arrays

SHAPE = (3, 32, 32)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, as in ResNet-20."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def build_graph() -> CutGraph:
    """A ResNet-20 with random weights, and its cuts."""
    torch.manual_seed(0)
    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    blocks = [Block(a, b, 1 if a == b else 2) for a, b in pairwise(widths)]
    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU())
    model = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return find_cuts(model.eval(), SHAPE)


def build_parts(images: int) -> Parts:
    """Smooth random images: what they show does not matter to the clock."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (images + 200, 8, 8, 3), dtype=np.uint8)
    x = coarse.repeat(4, axis=1).repeat(4, axis=2) ^ rng.integers(0, 16, (images + 200, 32, 32, 3), dtype=np.uint8)
    return divide(from_arrays(x, np.arange(len(x)) % 10, spec="random"), None, victims=200, seed=0)


def measure(
    graph: CutGraph, parts: Parts, names: list[str], attack: Decoder, workers: int
) -> tuple[float, list[AttackResult]]:
    """Seconds of one call, and its results."""
    started = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        cuts = [graph.cut(name) for name in names]
        leakage = attack_cuts(
            graph, cuts, parts, [attack], seed=0, folder=Path(folder), memory_bytes=8 << 30, workers=workers
        )
    return monotonic() - started, list(leakage.results)


def compare(graph: CutGraph, parts: Parts, attack: Decoder, repeats: int) -> dict[str, object]:
    """Both sides in turn, and the median of their ratios."""
    names = [cut.name for cut in graph.at_level("block")][:8]
    threads = torch.get_num_threads()
    turns: list[dict[str, float]] = []
    for _ in range(repeats):
        together, results = measure(graph, parts, names, attack, threads)
        separate = [measure(graph, parts, [name], attack, 1) for name in names]
        alone = sum(seconds for seconds, _ in separate)
        gaps = [
            abs(one.selection_mse / other[0].selection_mse - 1)
            for one, (_, other) in zip(results, separate, strict=True)
        ]
        turns.append({"together": together, "separate": alone, "ratio": together / alone, "mse_gap": max(gaps)})
    return {
        "benchmark": "attack",
        "attack": attack.name,
        "cuts": names,
        "steps": attack.settings.max_steps,
        "images": len(parts.training),
        "threads": threads,
        "seconds_together": round(statistics.median(turn["together"] for turn in turns), 1),
        "seconds_separate": round(statistics.median(turn["separate"] for turn in turns), 1),
        "ratio": round(statistics.median(turn["ratio"] for turn in turns), 3),
        "largest_difference_of_selection_mse": max(turn["mse_gap"] for turn in turns),
        "load": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=("S", "M"), default=["S", "M"])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=2000)
    given = parser.parse_args()
    graph, parts = build_graph(), build_parts(given.images)
    for size in given.sizes:
        attack = ATTACKS[f"decoder-{size}"]
        assert isinstance(attack, Decoder)
        settings = replace(attack.settings, max_steps=given.steps, round_steps=max(1, given.steps // 5))
        print(json.dumps(compare(graph, parts, replace(attack, settings=settings), given.repeats)), flush=True)


if __name__ == "__main__":
    main()
