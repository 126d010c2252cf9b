"""Control: is it the depth, or only the size of Z? python -m benchmarks.zone.same_size DATA_DIR --out runs/zone

The zone of the ResNet-20 on CIFAR-10 begins at its pool, where Z falls from 4,096 to 64 elements. So Z of earlier cuts,
and the image itself, are brought to 64 elements too, by the mean over positions or by a random projection, and attacked
by the same attackers. What an early cut keeps in 64 elements and the pool does not is not the size's doing.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from benchmarks.zone.attack import DECODER, VICTIMS, few_images
from benchmarks.zone.run import ATTACK_FIELDS, RESULTS
from benchmarks.zone.targets import CLASSES, DATA
from benchmarks.zone.train import open_target
from goldcut.attacks import attack_cuts
from goldcut.attacks.ridge import Ridge
from goldcut.cuts import CutGraph, find_cuts
from goldcut.cuts.split import copy_part
from goldcut.sources.images import Parts
from goldcut.study.attack import divide_parts

TARGET = "resnet20-cifar"
SIZE = 64
ROWS = (
    ("layer3.2", "projected"),
    ("layer3.0", "projected"),
    ("layer3.0", "averaged"),
    ("layer2.2", "projected"),
    ("the image", "projected"),
    ("layer3.1", "averaged"),
    ("relu", "projected"),
)
"""Cut and how it is brought to 64 elements; layer3.2 averaged is the pool itself."""


class Reduced(nn.Module):
    """An edge half, its Z brought to a size, and something behind it, so that there is a cut between.

    Args:
        edge: Images -> Z; None for the image itself.
        how: "averaged" over positions, which leaves the channels, or "projected" at random.
        elements: Of Z.
        seed: Of the projection.
    """

    def __init__(self, edge: fx.GraphModule | None, how: str, elements: int, seed: int = 0) -> None:
        super().__init__()
        self.edge = nn.Identity() if edge is None else edge
        self.reduce: nn.Module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        if how == "projected":
            projection = nn.Linear(elements, SIZE, bias=False)
            noise = torch.Generator().manual_seed(seed)
            projection.weight.data = torch.randn(SIZE, elements, generator=noise) / math.sqrt(elements)
            self.reduce = nn.Sequential(nn.Flatten(), projection)
        self.behind = nn.Linear(SIZE, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.behind(self.reduce(self.edge(x)))
        return logits


def attack_reduced(graph: CutGraph, parts: Parts, cut: str, how: str) -> dict[str, object]:
    """What both attackers recover from a cut brought to 64 elements."""
    image = cut == "the image"
    edge = None if image else copy_part(graph.module, source=None, result=graph.node(cut))
    elements = math.prod(graph.input_shape) if image else graph.cut(cut).elements
    reduced = find_cuts(Reduced(edge, how, elements).eval(), graph.input_shape)
    with tempfile.TemporaryDirectory() as folder:
        leakage = attack_cuts(
            reduced,
            [reduced.cuts[-2]],
            parts,
            [Ridge(), DECODER],
            seed=0,
            folder=Path(folder),
            memory_bytes=4 << 30,
            logits=False,
            run=f"{cut} {how}",
        )
    assert reduced.cuts[-2].elements == SIZE
    return {
        "cut": cut,
        "how": how,
        "elements_before": elements,
        "attacks": [{key: getattr(one, key) for key in ATTACK_FIELDS} for one in leakage.results],
    }


def main() -> None:
    """Attack one row after the other; rows that are written already stay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    target = open_target(TARGET, given.out / TARGET)
    graph = find_cuts(target.model, target.input_shape)
    parts = divide_parts(target, few_images(DATA["cifar"].read(given.data)), None, VICTIMS, 0)
    path = RESULTS / "same-size.json"
    done = json.loads(path.read_text())["rows"] if path.exists() else []
    for cut, how in ROWS:
        if any((row["cut"], row["how"]) == (cut, how) for row in done):
            continue
        print(cut, how, flush=True)
        done.append(attack_reduced(graph, parts, cut, how))
        path.write_text(json.dumps({"target": TARGET, "elements": SIZE, "rows": done}, indent=1) + "\n")


if __name__ == "__main__":
    main()
