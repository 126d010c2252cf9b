"""A run folder: what a scan left behind, reopened and checked before anything is built on it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldcut import records
from goldcut.errors import RunError
from goldcut.records import AttackRecord, ScanRecord
from goldcut.sources.images import Pack, load_images
from goldcut.sources.models import Target, load_model


@dataclass(frozen=True)
class Run:
    """The files of one run.

    Attributes:
        folder: Where they are.
    """

    folder: Path

    @property
    def scan_path(self) -> Path:
        """Every cut with its statistics."""
        return self.folder / "scan.json"

    @property
    def attack_path(self) -> Path:
        """Every attack at every cut."""
        return self.folder / "attack.json"

    @property
    def parts_folder(self) -> Path:
        """Finished attacks one by one, so that an interrupted run goes on from there."""
        return self.folder / "attack"

    @property
    def gallery_path(self) -> Path:
        """Victims and what the worst attack at each cut made of them."""
        return self.folder / "gallery.npz"

    @property
    def figures_path(self) -> Path:
        """Figures of each victim for each attack at each cut."""
        return self.folder / "victims.parquet"

    @property
    def promise_path(self) -> Path:
        """The noise that keeps a promise, and its price."""
        return self.folder / "promise.json"

    @property
    def adapted_path(self) -> Path:
        """Weights whose cloud half was trained on what a promise sends."""
        return self.folder / "adapted.safetensors"

    def scan(self) -> ScanRecord:
        """The scan, checked for its schema version.

        Raises:
            RunError: There is none, or it cannot be read.
        """
        return records.load(self.scan_path, ScanRecord)

    def scan_sha256(self) -> str:
        """Hash that ties an attack to the scan it stands on."""
        return hashlib.sha256(self.scan_path.read_bytes()).hexdigest()

    def attack(self) -> AttackRecord | None:
        """The attack, or None where the run has none yet."""
        return records.load(self.attack_path, AttackRecord) if self.attack_path.exists() else None

    def make(self) -> None:
        """Make the folder and see that it can be written, before any long work.

        Raises:
            RunError: It cannot.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise RunError(
                f"the run folder {self.folder} cannot be written: {error.strerror}", "Give another --out."
            ) from error


def reopen(run: Run) -> tuple[ScanRecord, Target, Pack]:
    """Load model and images of a run again and refuse when they are not the ones that were scanned.

    Raises:
        RunError: The model's weights or the images have changed, or the model was handed over in
            Python and cannot be loaded from its name.
    """
    scan = run.scan()
    source = scan.model
    if source.spec.startswith("python:") or scan.data.spec.startswith("python:"):
        raise RunError(
            f"{run.folder} was made from a model or images handed over in Python, which cannot be loaded again",
            "Call goldcut.attack with the same model and images instead.",
        )
    target = load_model(
        source.spec,
        input_shape=source.input_shape,
        checkpoint=Path(source.checkpoint) if source.checkpoint else None,
        weights=source.weights,
        classes=source.classes,
        mean=source.mean,
        std=source.std,
    )
    pack = load_images(scan.data.spec, shape=source.input_shape)
    same(run, scan, target, pack)
    return scan, target, pack


def same(run: Run, scan: ScanRecord, target: Target, pack: Pack) -> None:
    """Refuse a model or images that are not the ones of the scan.

    Raises:
        RunError: They differ.
    """
    for what, then, now in (
        ("model", scan.model.sha256, target.record.sha256),
        ("images", scan.data.sha256, pack.scanned.record.sha256),
    ):
        if then != now:
            raise RunError(
                f"the {what} of {run.folder} had hash {then[:12]}, now it is {now[:12]}",
                "Scan again into a new folder.",
            )


def refuse_other_settings(run: Run, kind: str, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to mix two sets of flags in one folder.

    Raises:
        RunError: A setting differs.
    """
    article = "an" if kind[0] in "aeiou" else "a"
    for key in sorted(then.keys() | now.keys()):
        if then.get(key) != now.get(key):
            raise RunError(
                f"{run.folder} holds {article} {kind} with {key} = {then.get(key)}, now it is {now.get(key)}",
                "Use the same flags to go on, or a new folder.",
            )
