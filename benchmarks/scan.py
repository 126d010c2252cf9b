"""What the statistics of a scan cost beside the bare forward pass, and whether memory grows with the images.

python benchmarks/scan.py [--models ...] [--images N] [--classes C] [--pairs P]

One JSON line a model. Time: the same images, in turn through the plain nn.Module, through the traced graph
without a visitor, and through the pass that tallies every block-level cut; medians of the ratios of each turn.
Memory: peak of a whole profile_cuts over N and over 4 N images, each in a process of its own.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from goldcut.cost.flops import price_cuts
from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.cuts.taps import read_cuts
from goldcut.probe.geometry import FOLDS
from goldcut.probe.profile import profile_cuts
from goldcut.probe.tally import deal, tally_cuts
from goldcut.sources.images import Images, from_arrays
from goldcut.sources.models import load_model

MODELS = ("torchvision:resnet18", "torchvision:vgg19_bn", "timm:vit_tiny_patch16_224")
SHAPE = (3, 64, 64)
BATCH = 128
STORED = 256
MEMORY_BYTES = 2**31


def make_images(n: int, classes: int) -> Images:
    """n noise images, repeating a few that are stored."""
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (STORED, *SHAPE[1:], SHAPE[0]), dtype=np.uint8)
    images = from_arrays(stored, np.arange(STORED) % classes, spec="noise", classes=[str(c) for c in range(classes)])
    return images.subset(np.arange(n) % STORED, "repeated")


def clock(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def time_model(spec: str, n: int, classes: int, pairs: int) -> dict[str, object]:
    target = load_model(spec, input_shape=SHAPE, classes=classes)
    graph = find_cuts(target.model, SHAPE)
    cuts = graph.at_level("block")
    images = make_images(n, classes)
    plan = deal(images.labels, classes, FOLDS, seed=0)

    def over_batches(run: Callable[[torch.Tensor], object]) -> None:
        with torch.no_grad():
            for start in range(0, n, BATCH):
                run(images.batch(plan.order[start : start + BATCH]))

    kinds = {
        "module": lambda: over_batches(target.model),
        "bare": lambda: over_batches(lambda batch: read_cuts(graph, batch, (), lambda name, z: None)),
        "scan": lambda: tally_cuts(graph, images, cuts, plan, batch_size=BATCH),
    }
    for work in kinds.values():
        work()
    turns = [{name: clock(work) for name, work in kinds.items()} for _ in range(pairs)]

    def ratio(name: str, base: str, which: int) -> float:
        return round(statistics.median(turn[name][which] / turn[base][which] for turn in turns), 3)

    return {
        "model": spec,
        "cuts": len(cuts),
        "elements": sum(cut.elements for cut in cuts),
        "images": n,
        "classes": classes,
        "pairs": pairs,
        "module_seconds": round(statistics.median(turn["module"][0] for turn in turns), 3),
        "scan_to_bare": ratio("scan", "bare", 0),
        "scan_to_module": ratio("scan", "module", 0),
        "bare_to_module": ratio("bare", "module", 0),
        "scan_to_bare_cpu": ratio("scan", "bare", 1),
        "spread": [round(turn["scan"][0] / turn["bare"][0], 3) for turn in turns],
    }


def peak_megabytes(spec: str, n: int, classes: int) -> float:
    """Peak memory of a process that profiles n images; called in that process."""
    target = load_model(spec, input_shape=SHAPE, classes=classes)
    graph: CutGraph = find_cuts(target.model, SHAPE)
    images = make_images(n, classes)
    cuts = price_cuts(graph, graph.at_level("block"))
    profile_cuts(graph, images, images.labels, cuts, n_classes=classes, batch_size=BATCH, memory_bytes=MEMORY_BYTES)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_in_its_own_process(spec: str, n: int, classes: int) -> float:
    command = [sys.executable, __file__, "--peak", spec, "--images", str(n), "--classes", str(classes)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--no-memory", action="store_true", help="leave the memory runs out")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.peak:
        print(peak_megabytes(flags.peak, flags.images, flags.classes))
        return
    for spec in flags.models:
        found = time_model(spec, flags.images, flags.classes, flags.pairs)
        if not flags.no_memory:
            sizes = (flags.images, 4 * flags.images)
            found["peak_mb"] = {n: round(peak_in_its_own_process(spec, n, flags.classes)) for n in sizes}
        found["threads"] = torch.get_num_threads()
        found["load"] = round(os.getloadavg()[0], 2)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
