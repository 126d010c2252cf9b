"""Eight cuts attacked together against eight separate runs that cache features too: wall clock and selection MSE.

    .venv/bin/python benchmarks/attack.py [--size S] [--steps 60] [--repeats 3] [--images 2000]

Both sides are the public attack_cuts with the same seeds, so they make the same inverses; the separate
runs train one after the other with all threads inside the operators, as a loop over cuts would.
The two sides alternate, the ratio is the median over the repeats. The edge has random weights: the time
of a step does not depend on them.
"""

import argparse
import os
import statistics
import tempfile
from dataclasses import replace
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
    blocks = [Block(a, b, 1 if a == b else 2) for a, b in zip(widths, widths[1:], strict=False)]
    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU())
    model = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return find_cuts(model.eval(), SHAPE)


def build_parts(images: int) -> Parts:
    """Smooth random images: what they show does not matter to the clock."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (images + 200, 8, 8, 3), dtype=np.uint8)
    x = coarse.repeat(4, axis=1).repeat(4, axis=2) ^ rng.integers(0, 16, (images + 200, 32, 32, 3), dtype=np.uint8)
    return divide(from_arrays(x, np.arange(len(x)) % 10, spec="random"), None, victims=200, seed=0)


def measure(graph: CutGraph, parts: Parts, names: list[str], attack: Decoder, workers: int) -> tuple[float, list[AttackResult]]:
    """Seconds of one call, and its results."""
    started = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        cuts = [graph.cut(name) for name in names]
        leakage = attack_cuts(
            graph, cuts, parts, [attack], seed=0, folder=Path(folder), memory_bytes=8 << 30, workers=workers
        )
    return monotonic() - started, list(leakage.results)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("S", "M"), default="S")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=2000)
    given = parser.parse_args()
    graph, parts = build_graph(), build_parts(given.images)
    names = [cut.name for cut in graph.at_level("block")][:8]
    attack = ATTACKS[f"decoder-{given.size}"]
    assert isinstance(attack, Decoder)
    attack = replace(attack, settings=replace(attack.settings, max_steps=given.steps, round_steps=max(1, given.steps // 5)))
    threads = torch.get_num_threads()
    ratios = []
    for repeat in range(given.repeats):
        together, results = measure(graph, parts, names, attack, threads)
        separate = [measure(graph, parts, [name], attack, 1) for name in names]
        alone = sum(seconds for seconds, _ in separate)
        ratios.append(together / alone)
        gap = max(
            abs(one.selection_mse / other[0].selection_mse - 1) for one, (_, other) in zip(results, separate, strict=True)
        )
        load = os.getloadavg()[0]
        print(
            f"{repeat}: {len(names)} cuts together {together:.1f} s, one by one {alone:.1f} s, ratio {ratios[-1]:.2f}, "
            f"largest difference of selection MSE {gap:.1e}, load {load:.1f}",
            flush=True,
        )
    print(f"decoder-{given.size}, {threads} threads: median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
