"""Two or more runs side by side: before and after a change of model, training or attack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldcut.errors import RunError
from goldcut.records import AttackRecord, CutProfile, ScanRecord, Worst
from goldcut.report.folder import read_run
from goldcut.report.verdict import reach_verdict


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """What a run is and what came out, in a line.

    Attributes:
        name: The run folder as it was given.
        zone_paper: First cut of the paper's zone; None without one.
        zone: First cut of the default zone; None without one.
        zone_post_hoc: First cut of the attack's zone; None without one or without an attack.
        class_mean: What the class mean recovers; None without an attack.
        verdict: The headline of the run's verdict.
    """

    name: str
    model: str
    data: str
    labels: str
    accuracy: float | None
    zone_paper: str | None
    zone: str | None
    recommended: str | None
    zone_post_hoc: str | None
    class_mean: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A cut in one run; the attack's fields are None where it was not attacked."""

    edge_flops: int
    edge_params: int
    payload_bytes: int
    within_share: float
    within_share_standardised: float
    radius_sq_per_element: float
    recovered: float | None = None
    recovered_low: float | None = None
    recovered_high: float | None = None
    converged: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ComparedCut:
    """A cut across the runs, in their order; None where a run has no cut of that name."""

    cut: str
    readings: tuple[Reading | None, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs side by side.

    Attributes:
        notes: In what, other than the figures, the runs differ: what a fair comparison must know.
    """

    runs: tuple[ComparedRun, ...]
    cuts: tuple[ComparedCut, ...]
    notes: tuple[str, ...]


def compare_runs(runs: Sequence[Path]) -> Comparison:
    """Read runs and put them side by side, cuts matched by name.

    Raises:
        RunError: Fewer than two runs were given, or one cannot be read.
    """
    if len(runs) < 2:
        raise RunError(f"a comparison takes at least two runs, {len(runs)} given", "Give two run folders.")
    records = [read_run(run) for run in runs]
    tables = [_readings(scan, attack) for scan, attack in records]
    return Comparison(
        runs=tuple(_summary(run, *record) for run, record in zip(runs, records, strict=True)),
        cuts=tuple(
            ComparedCut(cut=name, readings=tuple(table.get(name) for table in tables))
            for name in merge_orders([list(table) for table in tables])
        ),
        notes=tuple(_notes(records)),
    )


def merge_orders(orders: Sequence[Sequence[str]]) -> list[str]:
    """One order of all names: that of the first, a new name right behind the one it follows in its own.

    Example:
        >>> merge_orders([["a", "c", "d"], ["a", "b", "d", "e"]])
        ['a', 'b', 'c', 'd', 'e']
    """
    merged: list[str] = []
    for order in orders:
        position = 0
        for name in order:
            if name in merged:
                position = merged.index(name) + 1
            else:
                merged.insert(position, name)
                position += 1
    return merged


def _summary(run: Path, scan: ScanRecord, attack: AttackRecord | None) -> ComparedRun:
    class_mean = attack.baselines.class_mean if attack else None
    return ComparedRun(
        name=str(run),
        model=" ".join(filter(None, [scan.model.spec, scan.model.checkpoint, scan.model.weights])),
        data=f"{scan.data.spec} ({scan.data.part}, {scan.data.images:,} images)",
        labels=scan.labels,
        accuracy=scan.accuracy,
        zone_paper=scan.zone_paper.first,
        zone=scan.zone.first,
        recommended=scan.recommended,
        zone_post_hoc=attack.zone_post_hoc.first if attack else None,
        class_mean=class_mean.recovered if class_mean else None,
        verdict=reach_verdict(scan, attack).headline,
    )


def _readings(scan: ScanRecord, attack: AttackRecord | None) -> dict[str, Reading]:
    worst = {worst.cut: worst for worst in attack.worst} if attack else {}
    return {cut.name: _reading(cut, worst.get(cut.name)) for cut in scan.cuts}


def _reading(cut: CutProfile, worst: Worst | None) -> Reading:
    return Reading(
        edge_flops=cut.edge_flops,
        edge_params=cut.edge_params,
        payload_bytes=cut.payload_bytes,
        within_share=cut.within_share,
        within_share_standardised=cut.within_share_standardised,
        radius_sq_per_element=cut.radius_sq_per_element,
        recovered=worst.recovered if worst else None,
        recovered_low=worst.recovered_low if worst else None,
        recovered_high=worst.recovered_high if worst else None,
        converged=worst.converged if worst else None,
    )


def _notes(records: Sequence[tuple[ScanRecord, AttackRecord | None]]) -> list[str]:
    scans = [scan for scan, _ in records]
    attacks = [attack for _, attack in records if attack]
    notes = []
    if len({scan.model.sha256 for scan in scans}) == 1:
        notes.append("All runs have the same model and weights.")
    checks: tuple[tuple[str, Callable[[ScanRecord], object]], ...] = (
        ("The runs scanned different images.", lambda scan: scan.data.sha256),
        ("The runs used different labels.", lambda scan: scan.labels),
        ("The runs show the cuts at different levels.", lambda scan: scan.level),
    )
    notes += [text for text, value in checks if len({value(scan) for scan in scans}) > 1]
    if attacks and len(attacks) < len(records):
        notes.append("Not all runs were attacked.")
    if len({(a.view.auxiliary, a.view.training_images, a.view.victims) for a in attacks}) > 1:
        notes.append("The attackers had different images, so recovered is not on equal terms.")
    if len({frozenset(result.attack for result in a.results) for a in attacks}) > 1:
        notes.append("Different attacks were made, so recovered is not on equal terms.")
    if any(not worst.converged for a in attacks for worst in a.worst):
        notes.append("Some attacks were still improving when they stopped.")
    return notes
