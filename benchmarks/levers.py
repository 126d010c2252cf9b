"""Label distributions and post hoc defences in one table: two networks, two data sets, three targets.

    python -m benchmarks.levers DATA_DIR --out DIR

trains twelve small classifiers, writes a sweep file for each network and data set, and carries them all out into
DIR/sweep: every classifier as it is and behind each defence, attacked at a deep cut and at one before it. What is done
already is not done again.

DATA_DIR holds cifar10_lossless_15k_5k.npz and mnist.npz: x_train, y_train, x_test and y_test. Digits are padded with
black from 28 to 32 pixels, and all images halved in size by averaging 2 x 2 pixels, so that decoders train until flat
in minutes on one core.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from goldcut.cli.options import progress_bars
from goldcut.records import write_atomically
from goldcut.study.train import open_training, train
from goldcut.sweeps.sweep import run_sweep

TRAINING, SCANNED, VICTIMS, EPOCHS, RATE = 5000, 2500, 500, 8, 3e-3
DATA = {"cifar": "cifar10_lossless_15k_5k.npz", "mnist": "mnist.npz"}
NETWORKS = {
    "cnn4": ("goldcut:cnn4-small", "blocks.1,flatten"),
    "resnet18": ("goldcut:resnet18-small", "layer3.1,flatten"),
}
"""MODEL, and the cuts that are attacked: one well before the end, and the pool, where the published rule looks."""

TARGETS = {"one-hot": "one-hot", "smooth": "smooth:0.3", "negative": "smooth:-0.05"}
ATTACKS = (
    ("ridge", ("none", "noise:0.3", "quantise:4")),
    ("decoder-S", ("none",)),
    ("decoder-S", ("noise:0.3",)),
)
"""Attacks and the defences that they meet, the quick ones first."""


@dataclass(frozen=True)
class Cell:
    """A network and a data set.

    Attributes:
        network: A key of NETWORKS.
        data: A key of DATA.
        out: Where everything is.
    """

    network: str
    data: str
    out: Path

    @property
    def pack(self) -> Path:
        """Its images."""
        return self.out / f"{self.data}.npz"

    def weights(self, targets: str) -> Path:
        """The classifier of a label distribution."""
        return self.out / f"{self.network}-{self.data}-{targets}.safetensors"

    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of its images."""
        with np.load(self.pack) as stored:
            _, height, width, *channels = stored["x_test"].shape
        return (channels[0] if channels else 1), height, width

    def file(self, number: int, attacks: str, defenses: tuple[str, ...]) -> Path:
        """The sweep file of some attacks and defences."""
        spec, cuts = NETWORKS[self.network]
        shape = list(self.shape())
        models = [f"  - {{spec: {spec}, checkpoint: {self.weights(one)}, input: {shape}}}" for one in TARGETS]
        path = self.out / f"{self.network}-{self.data}-{number}.yaml"
        lines = ["model:", *models, f"data: npz:{self.pack}", f"defense: [{', '.join(defenses)}]"]
        lines += [f"cuts: {cuts}", f"attacks: {attacks}", "effort: small", f"victims: {VICTIMS}"]
        write_atomically(path, ("\n".join(lines) + "\n").encode())
        return path


def write_pack(folder: Path, data: str, path: Path) -> None:
    """Images drawn with seed 0 from the two parts of a pack, halved in size."""
    if path.exists():
        return
    arrays = {}
    with np.load(folder / DATA[data], allow_pickle=False) as stored:
        for part, count in (("train", TRAINING), ("test", SCANNED)):
            rows = np.sort(np.random.default_rng(0).permutation(len(stored[f"y_{part}"]))[:count])
            images = stored[f"x_{part}"][rows].astype(np.float64)
            missing = (32 - images.shape[1]) // 2
            images = np.pad(images, [(0, 0), (missing, missing), (missing, missing), (0, 0)][: images.ndim])
            quarters = [images[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
            arrays[f"x_{part}"] = np.mean(quarters, axis=0).round().astype(np.uint8)
            arrays[f"y_{part}"] = stored[f"y_{part}"][rows]
    np.savez_compressed(path, **arrays)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--epochs", default=EPOCHS, show_default=True)
def main(folder: Path, out: Path, epochs: int) -> None:
    """Train what is missing, then sweep what is missing."""
    out.mkdir(parents=True, exist_ok=True)
    for data in DATA:
        write_pack(folder, data, out / f"{data}.npz")
    cells = [Cell(network, data, out) for data in DATA for network in NETWORKS]
    with progress_bars() as progress:
        for cell in cells:
            for name, targets in TARGETS.items():
                spec = NETWORKS[cell.network][0]
                target, pack = open_training(spec, f"npz:{cell.pack}", input_shape=cell.shape())
                weights = cell.weights(name)
                flags = {"epochs": epochs, "rate": RATE, "watch": "none", "splits": 0}
                record = train(target, pack, out=weights, targets=targets, **flags, progress=progress)
                click.echo(f"{weights.stem}: accuracy {record.accuracy:.3f}")
        for number, (attacks, defenses) in enumerate(ATTACKS):
            for cell in cells:
                run_sweep(cell.file(number, attacks, defenses), out / "sweep", workers=1, progress=progress)
                click.echo(f"{cell.network} on {cell.data}: {attacks} done")


if __name__ == "__main__":
    main()
