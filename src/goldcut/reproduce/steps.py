"""The steps that tables are made of: a training, a scan, an attack, a price; each leaves one record.

A step's record is written when it is finished, so a table goes on where it stopped; what happens inside a step resumes
by itself.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from goldcut import records
from goldcut.attacks.base import Attack
from goldcut.attacks.decoder import DECODING, Decoder
from goldcut.attacks.paper import Deconvolution
from goldcut.attacks.suite import ATTACKS
from goldcut.cost.flops import price_cuts
from goldcut.cost.measure import measure_cut
from goldcut.cuts.graph import find_cuts
from goldcut.fitting import Settings
from goldcut.models import NAMED
from goldcut.progress import Progress, silent
from goldcut.records import AttackRecord, CutsRecord, ScanRecord, TrainRecord
from goldcut.reproduce.packs import AUXILIARY, Shares, open_shares
from goldcut.reproduce.scale import Scale
from goldcut.sources.models import Target, adopt_model, load_model
from goldcut.study.attack import attack
from goldcut.study.scan import scan
from goldcut.study.train import train

Result = TrainRecord | ScanRecord | AttackRecord | CutsRecord


@dataclass(frozen=True)
class Bench:
    """Where steps are carried out.

    Attributes:
        folder: Of the reproduction.
        data: Folder of the image packs.
        scale: All sizes.
        progress: Told how far a step is.
    """

    folder: Path
    data: Path | None
    scale: Scale
    progress: Progress = silent

    def shares(self, name: str, auxiliary: str | None = None) -> Shares:
        """Who sees which images of a pack; the files have been looked for before."""
        return open_shares(name, self.data or Path(), self.scale, auxiliary=auxiliary)


@dataclass(frozen=True)
class Step(ABC):
    """A piece of work with a record."""

    kind: ClassVar[type[Any]]

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the record's file."""

    @property
    def needs(self) -> tuple["Step", ...]:
        """Steps that come before it."""
        return ()

    @property
    def packs(self) -> tuple[str, ...]:
        """Packs that it reads."""
        return ()

    @abstractmethod
    def run(self, bench: Bench) -> Result:
        """Carry it out, or go on with it."""

    def path(self, folder: Path) -> Path:
        """Its record in the folder of a reproduction."""
        return folder / "steps" / f"{self.name}.json"

    def result(self, folder: Path) -> Any:
        """Its record, of its own kind; None where it has not been carried out."""
        path = self.path(folder)
        return records.load(path, self.kind) if path.exists() else None


@dataclass(frozen=True)
class Training(Step):
    """A classifier under a label distribution.

    Attributes:
        network: A key of the scale's networks.
        data: A key of FILES.
        targets: Label distribution.
        seed: Of the first weights, the order and the selection images.
    """

    kind: ClassVar[type[Any]] = TrainRecord
    network: str
    data: str = "natural"
    targets: str = "one-hot"
    seed: int = 0

    @property
    def name(self) -> str:
        return "-".join(("train", self.network, self.data, self.targets.replace(":", ""), str(self.seed)))

    @property
    def packs(self) -> tuple[str, ...]:
        return (self.data,)

    def weights(self, folder: Path) -> Path:
        """Of the trained network."""
        return folder / "work" / f"{self.name}.safetensors"

    def run(self, bench: Bench) -> Result:
        pack, network = bench.shares(self.data).target, bench.scale.networks[self.network]
        return train(
            _untrained(network.spec, pack.scanned.shape, len(pack.scanned.classes), self.seed),
            pack,
            out=self.weights(bench.folder),
            targets=self.targets,
            watch="none",
            splits=0,
            epochs=bench.scale.epochs,
            batch=bench.scale.batch,
            rate=network.rate,
            augment=bench.scale.augment,
            device=bench.scale.device,
            seed=self.seed,
            progress=bench.progress,
        )

    def reopen(self, bench: Bench, shares: Shares) -> Target:
        """The trained network."""
        images = shares.attack.scanned
        return load_model(
            bench.scale.networks[self.network].spec,
            input_shape=images.shape,
            checkpoint=self.weights(bench.folder),
            classes=len(images.classes),
        )


@dataclass(frozen=True)
class Scan(Step):
    """Statistics of Z at every block-level cut of a trained network, by true labels, on images it has not seen."""

    kind: ClassVar[type[Any]] = ScanRecord
    training: Training

    @property
    def name(self) -> str:
        return self.training.name.replace("train-", "scan-", 1)

    @property
    def needs(self) -> tuple[Step, ...]:
        return (self.training,)

    @property
    def packs(self) -> tuple[str, ...]:
        return self.training.packs

    def run(self, bench: Bench) -> Result:
        shares = bench.shares(self.training.data)
        return scan(
            self.training.reopen(bench, shares),
            shares.attack,
            out=bench.folder / "work" / self.name,
            device=bench.scale.device,
            seed=self.training.seed,
            progress=bench.progress,
        )


@dataclass(frozen=True)
class Attacked(Step):
    """Attacks at cuts of a trained network; the attacker's images are its own.

    Attributes:
        training: Of the target.
        cuts: Names.
        group: "attacks" or "enhanced": which attacks of the scale.
        foreign: Whether the attacker's images are of another origin than the victims.
    """

    kind: ClassVar[type[Any]] = AttackRecord
    training: Training
    cuts: tuple[str, ...]
    group: str = "attacks"
    foreign: bool = False

    @property
    def name(self) -> str:
        prefix = f"{self.group}{'-foreign' if self.foreign else ''}-"
        return f"{self.training.name.replace('train-', prefix, 1)}-{'+'.join(self.cuts)}"

    @property
    def scan(self) -> Scan:
        """What an attack stands on."""
        return Scan(self.training)

    @property
    def needs(self) -> tuple[Step, ...]:
        return (self.training, self.scan)

    @property
    def packs(self) -> tuple[str, ...]:
        return (self.training.data, *([AUXILIARY[self.training.data]] if self.foreign else []))

    def run(self, bench: Bench) -> Result:
        training, auxiliary = self.training, AUXILIARY[self.training.data] if self.foreign else None
        shares, run = bench.shares(training.data, auxiliary), bench.folder / "work" / self.name
        records.save(self.scan.result(bench.folder), run / "scan.json")
        return attack(
            training.reopen(bench, shares),
            shares.attack,
            out=run,
            cuts=",".join(self.cuts),
            attacks=_attacks(bench.scale, self.group),
            aux_seen="no",
            victims=bench.scale.victims,
            device=bench.scale.device,
            seed=training.seed,
            progress=bench.progress,
        )


@dataclass(frozen=True)
class Price(Step):
    """What chosen cuts of an untrained network cost the device: parameters, FLOPs, bytes, time and memory.

    Attributes:
        spec: MODEL.
        cuts: Names.
        side: Height and width of the images.
    """

    kind: ClassVar[type[Any]] = CutsRecord
    spec: str
    cuts: tuple[str, ...]
    side: int = 64

    @property
    def name(self) -> str:
        return f"price-{self.spec.removeprefix('goldcut:')}-{self.side}px"

    def run(self, bench: Bench) -> Result:
        target = load_model(self.spec, images_shape=(3, self.side, self.side))
        graph = find_cuts(target.model.to(bench.scale.device), target.input_shape)
        chosen = price_cuts(graph, [graph.cut(name) for name in (*self.cuts, "output")])
        priced = []
        for place, cut in enumerate(chosen, 1):
            bench.progress(self.name, place, len(chosen))
            if cut.level == "output":
                priced.append(cut)
                continue
            found = measure_cut(graph, cut.name, runs=bench.scale.priced)
            priced.append(
                replace(
                    cut,
                    edge_seconds=found.edge_seconds,
                    cloud_seconds=found.cloud_seconds,
                    edge_peak_bytes=found.edge_peak_bytes,
                )
            )
        return CutsRecord(model=target.record, cuts=tuple(priced))


def _untrained(spec: str, shape: tuple[int, int, int], classes: int, seed: int) -> Target:
    """A network of goldcut's with first weights of a seed."""
    build, _ = NAMED[spec.removeprefix("goldcut:")]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(channels=shape[0], classes=classes, size=shape[1:])
    return adopt_model(model, shape, spec=spec)


def _attacks(scale: Scale, group: str) -> list[Attack]:
    """The attacks of a group, each with at most the steps of the scale."""
    return [_attack(name, steps, scale.width) for name, steps in getattr(scale, group).items()]


def _attack(name: str, steps: int, width: int) -> Attack:
    def cut_short(settings: Settings) -> Settings:
        return replace(settings, max_steps=steps, round_steps=max(1, min(100, steps // 6)))

    known = ATTACKS.get(name)
    if isinstance(known, Deconvolution):
        return replace(known, width=width, settings=cut_short(known.settings))
    if name.startswith("decoder-"):
        return Decoder(name.removeprefix("decoder-"), cut_short(DECODING))
    return ATTACKS[name]
