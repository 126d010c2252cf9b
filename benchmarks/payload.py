"""What the codec makes of real Z: payload and accuracy at every cut of a trained network.

    python -m benchmarks.payload MODEL DATA [--checkpoint FILE] [--codec int8] [--zstd/--no-zstd] [--images 5000]

Each scanned image is sent on its own, as a device would. Prints one JSON line a cut and one with the medians: the share
of the bytes of fp32, and the points of accuracy that are lost between the halves.
"""

import json
import statistics
from pathlib import Path

import click
import numpy as np
import torch

from goldcut.cuts.graph import find_cuts
from goldcut.cuts.split import Split, split_at
from goldcut.cuts.taps import read_cuts
from goldcut.sources.images import Images
from goldcut.study.scan import open_sources
from goldcut.wire.codec import NUMBERS, Codec, payload_bytes

BATCH = 100


class Tally:
    """What one cut cost.

    Args:
        split: The halves.
        codec: Between them.
    """

    def __init__(self, split: Split, codec: Codec) -> None:
        self.split, self.codec = split, codec
        self.bytes: list[int] = []
        self.right = 0

    def add(self, z: torch.Tensor, labels: torch.Tensor) -> None:
        """A batch of Z, sent sample by sample."""
        sent = [self.codec.encode(row[None]) for row in z.numpy()]
        self.bytes += [payload_bytes(row) for row in sent]
        arrived = np.concatenate([self.codec.decode(row, 1) for row in sent])
        with torch.no_grad():
            answer = self.split.cloud(torch.from_numpy(arrived))
        self.right += int((answer.argmax(1) == labels).sum())


def measure(tallies: dict[str, Tally], graph: object, images: Images) -> int:
    """Send every image at every cut; gives how often the whole network is right."""
    right = 0
    for start in range(0, len(images), BATCH):
        index = np.arange(start, min(start + BATCH, len(images)))
        labels = torch.from_numpy(images.labels[index])

        def take(name: str, z: torch.Tensor, labels: torch.Tensor = labels) -> None:
            tallies[name].add(z, labels)

        logits = read_cuts(graph, images.batch(index), list(tallies), take)  # type: ignore[arg-type]
        right += int((logits.argmax(1) == labels).sum())
    return right


@click.command()
@click.argument("model")
@click.argument("data")
@click.option("--checkpoint", type=click.Path(path_type=Path))
@click.option("--codec", "number", type=click.Choice(list(NUMBERS)), default="int8", show_default=True)
@click.option("--zstd/--no-zstd", default=True, show_default=True)
@click.option("--images", type=int, default=5000, show_default=True, help="Of the scanned ones, at most.")
def main(model: str, data: str, checkpoint: Path | None, number: str, zstd: bool, images: int) -> None:
    """Measure every block-level cut before the output."""
    target, pack = open_sources(model, data, checkpoint=checkpoint)
    graph = find_cuts(target.model, target.input_shape)
    chosen = pack.scanned.subset(np.arange(min(images, len(pack.scanned))), pack.scanned.part)
    tallies = {
        cut.name: Tally(split_at(graph, cut.name), Codec(number, zstd, cut.shape))  # type: ignore[arg-type]
        for cut in graph.cuts
        if cut.level == "block"
    }
    whole = measure(tallies, graph, chosen) / len(chosen)
    shares, losses = [], []
    for name, tally in tallies.items():
        plain = 4 * int(np.prod(tally.codec.shape))
        shares.append(statistics.median(tally.bytes) / plain)
        losses.append(100 * (whole - tally.right / len(chosen)))
        line = {"benchmark": "payload", "cut": name, "fp32_bytes": plain, "bytes": int(statistics.median(tally.bytes))}
        print(json.dumps({**line, "share": round(shares[-1], 3), "points_lost": round(losses[-1], 2)}), flush=True)
    print(
        json.dumps(
            {
                "benchmark": f"payload of {number}{'+zstd' if zstd else ''}",
                "cuts": len(shares),
                "images": len(chosen),
                "accuracy": round(whole, 4),
                "median_share": round(statistics.median(shares), 3),
                "largest_loss_points": round(max(losses), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
