"""attack.json while it grows: what a run held before, joined by what has been found since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from goldcut import records
from goldcut.attacks.attributes import Probe
from goldcut.attacks.leakage import Leakage, find_worst, write_figures, write_gallery
from goldcut.records import (
    KNOWLEDGE,
    LABEL,
    AttackRecord,
    AttackResult,
    Baselines,
    Inferred,
    Knowledge,
    ScanRecord,
    SweepPoint,
    Worst,
)
from goldcut.sources.images import Parts
from goldcut.study.provenance import Stopwatch
from goldcut.study.run import Run
from goldcut.zone.post_hoc import post_hoc_zone


@dataclass(frozen=True, eq=False)
class Draft:
    """attack.json as far as it is known: what the run held before, and what has been found since."""

    run: Run
    scan: ScanRecord
    before: AttackRecord | None
    parts: Parts
    auxiliary: str
    aux_seen: str
    watch: Stopwatch
    settings: Mapping[str, Any]
    device: str

    def save(self, leakage: Leakage, points: Sequence[SweepPoint] = ()) -> AttackRecord:
        """Write attack.json, victims.parquet and gallery.npz."""
        record = self._record(leakage, points)
        records.save(record, self.run.attack_path)
        write_figures(leakage, self.parts.victims, self.run.figures_path)
        write_gallery(self._with_kept_pictures(leakage, record), self.run.gallery_path)
        return record

    def _record(self, leakage: Leakage, points: Sequence[SweepPoint]) -> AttackRecord:
        before = self.before
        order = [row.name for row in self.scan.cuts]
        results = {(one.cut, one.attack): one for one in (*(before.results if before else ()), *leakage.results)}
        failed = {(one.cut, one.attack): one for one in (*(before.failed if before else ()), *leakage.failures)}
        probed = {one.cut for one in leakage.inferred}
        inferred = [one for one in self._still_true() if one.cut not in probed] + [*leakage.inferred]
        done = {*results, *((one.cut, Probe().name) for one in inferred)}
        attacked = {*(before.attacked if before else ()), *leakage.cuts}
        nearest = {**(before.baselines.nearest if before else {}), **leakage.baselines.nearest}
        ranked = sorted(results.values(), key=lambda one: order.index(one.cut))
        worst = find_worst(order, ranked)
        baselines = Baselines(
            mean_image=leakage.baselines.mean_image, class_mean=leakage.baselines.class_mean, nearest=nearest
        )
        most = {one.cut: one for one in worst}
        names = [name for name in order if name != "output" or name in most]
        curve = [most[name].recovered if name in most else None for name in names]
        flat = [name in most and most[name].converged for name in names]
        class_mean = baselines.class_mean.recovered if baselines.class_mean else None
        return AttackRecord(
            scan_sha256=self.run.scan_sha256(),
            view=leakage.view(
                self.parts,
                knowledge=max((one.needs for one in ranked), key=KNOWLEDGE.index, default="queries"),
                auxiliary=self.auxiliary,
                aux_seen=self.aux_seen,
            ),
            attacked=tuple(name for name in order if name in attacked),
            baselines=baselines,
            results=tuple(ranked),
            failed=tuple(one for pair, one in failed.items() if pair not in done),
            inferred=tuple(sorted(inferred, key=lambda one: order.index(one.cut))),
            worst=worst,
            zone_post_hoc=post_hoc_zone(curve, class_mean, flat, names, share=0.5),
            zone_post_hoc_quarter=post_hoc_zone(curve, class_mean, flat, names, share=0.25),
            complete=leakage.complete,
            worst_by_knowledge=_by_knowledge(order, ranked),
            sweep=self._sweep(points),
            provenance=self.watch.provenance(settings=self.settings, seed=self.settings["seed"], device=self.device),
        )

    def _still_true(self) -> Sequence[Inferred]:
        """What the run held of class and attributes; of the class alone where other attributes are known now."""
        if self.before is None:
            return ()
        then = self.before.provenance.settings.get("attributes_sha256")
        known = then in (None, self.settings["attributes_sha256"])
        return [one for one in self.before.inferred if known or one.target == LABEL]

    def _sweep(self, points: Sequence[SweepPoint]) -> tuple[SweepPoint, ...]:
        kept = {
            (one.cut, one.training_images, one.queries): one
            for one in (*(self.before.sweep if self.before else ()), *points)
        }
        return tuple(kept.values())

    def _with_kept_pictures(self, leakage: Leakage, record: AttackRecord) -> Leakage:
        """The leakage with the pictures that the run's gallery had for cuts and attacks of before."""
        pictures = {**self._kept, **leakage.pictures}
        drawn = tuple(one for one in record.worst if (one.cut, one.attack) in pictures)
        return replace(leakage, cuts=record.attacked, worst=drawn, pictures=pictures)

    @property
    def _kept(self) -> dict[tuple[str, str], Any]:
        path = self.run.gallery_path
        if self.before is None or not path.exists():
            return {}
        with np.load(path, allow_pickle=False) as stored:
            pairs = list(zip(stored["names"].tolist(), stored["attacks"].tolist(), strict=True))
            return {pair: stored[f"recon__{turn}"] for turn, pair in enumerate(pairs) if pair[1]}


def _by_knowledge(cuts: Sequence[str], results: Sequence[AttackResult]) -> dict[Knowledge, tuple[Worst, ...]]:
    """Per level of knowledge that any attack ran at, the worst among the attacks that it is enough for."""
    used = {result.needs for result in results}
    return {
        level: find_worst(cuts, [one for one in results if KNOWLEDGE.index(one.needs) <= place])
        for place, level in enumerate(KNOWLEDGE)
        if level in used
    }
