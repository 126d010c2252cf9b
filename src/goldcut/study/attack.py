"""From a scanned run to attack.json: the independent check of the zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from goldcut import records
from goldcut.attacks.attributes import Probe
from goldcut.attacks.base import Attack
from goldcut.attacks.evaluate import attack_cuts
from goldcut.attacks.leakage import Leakage, find_worst, write_figures, write_gallery
from goldcut.attacks.suite import choose_attacks, every_attack
from goldcut.cuts.graph import find_cuts
from goldcut.errors import DataError, ModelError
from goldcut.progress import Progress, silent
from goldcut.records import (
    KNOWLEDGE,
    AttackRecord,
    AttackResult,
    Baselines,
    Cut,
    Knowledge,
    ScanRecord,
    SweepPoint,
    Worst,
)
from goldcut.sources.images import Pack, Parts, divide, load_images
from goldcut.sources.models import Target
from goldcut.study.defended import open_graph
from goldcut.study.provenance import Stopwatch
from goldcut.study.run import Run, refuse_other_settings, reopen, same
from goldcut.study.scan import MEMORY_BYTES
from goldcut.study.sweep import LEAST, check_sizes, sweep
from goldcut.study.witnesses import call_witnesses
from goldcut.zone.post_hoc import post_hoc_zone

VICTIMS = 1000


def attack_run(folder: Path, **flags: Any) -> AttackRecord:
    """Attack a run that `goldcut scan` made: reopen its model and images, then `attack`.

    Raises:
        GoldcutError: The run, its model or its images cannot be used, or have changed.
    """
    _, target, pack = reopen(Run(folder))
    return attack(target, pack, out=folder, **flags)


def attack(
    target: Target,
    pack: Pack,
    *,
    out: Path,
    cuts: str = "all",
    attacks: str | Sequence[Attack | Probe] = "standard",
    effort: str = "standard",
    knowledge: Knowledge = "weights",
    aux: str | None = None,
    aux_seen: str = "unknown",
    classifier: str | Target | None = None,
    embedder: str | Target | None = None,
    lpips: bool = False,
    victims: int = VICTIMS,
    aux_size: Sequence[int] = (),
    queries: Sequence[int] = (1,),
    device: str = "cpu",
    memory: int = MEMORY_BYTES,
    seed: int = 0,
    progress: Progress = silent,
) -> AttackRecord:
    """Attack cuts of a scanned run and write OUT/attack.json and OUT/gallery.npz, again after every finished attack.

    What the run holds already stays: other cuts and attacks are added to it, as long as the attacker's images, the
    victims and the seed are the same.

    Args:
        target: The model of the scan.
        pack: The images of the scan.
        out: The run folder.
        cuts: "all" (the output too), "zone" (the default rule's zone and the cut before it), or names separated by
            commas.
        attacks: A set ("standard"), names separated by commas, or Attack and Probe objects.
        effort: "small", "standard" or "large": how long an attack may train before it is called not converged.
        knowledge: What the attacker knows of the edge half: "weights", "queries" (its answers to any image),
            "architecture" or "none". A set of attacks is cut down to what can be done with it.
        aux: DATA of the attacker's images, when they are others than the data's own.
        aux_seen: "yes", "no" or "unknown": whether the target was trained on the attacker's images.
        classifier: Another classifier (a MODEL spec, with @CHECKPOINT, or a Target) that says whether a
            reconstruction has the class of its image.
        embedder: What says how near the identities of reconstruction and image are, such as a face recogniser.
        lpips: Whether LPIPS is measured too.
        victims: Images that are reconstructed and scored; all that there are when fewer.
        aux_size: Numbers of images with which the attacks are repeated, for the curve of what more of them bring.
        queries: How often each image passes the edge, where that is stochastic; the most is the attack, fewer are
            points of a curve.
        device: Where the model and the attacks run.
        memory: Most bytes for features.
        seed: Of everything that is drawn.
        progress: Told how far the work is.

    Raises:
        GoldcutError: The run, cuts, attacks or images cannot be used; the message says which.
    """
    watch = Stopwatch()
    run = Run(out)
    scan = run.scan()
    same(run, scan, target, pack)
    most = max(queries)
    settings = {"aux": aux, "aux_seen": aux_seen, "victims": victims, "seed": seed, "queries": most}
    witnesses = call_witnesses(target, classifier, embedder, lpips=lpips)
    settings |= dict.fromkeys(("agreement", "identity_cosine", "lpips"))
    settings |= {one.figure: one.sha256 for one in witnesses}
    before = run.attack()
    if before is not None:
        then = {"queries": 1, **before.provenance.settings}
        refuse_other_settings(run, "attack", {key: then.get(key) for key in settings}, settings)
    chosen = choose_cuts(scan, cuts)
    suite = choose_attacks(attacks, effort, knowledge) if isinstance(attacks, str) else tuple(attacks)
    parts = divide_parts(target, pack, aux, victims, seed)
    draft = _Draft(run, scan, before, parts, aux or parts.training.spec, aux_seen, watch, settings, device)
    sizes = check_sizes(parts, aux_size)
    graph = open_graph(target, pack.scanned, scan.defense, device=device, seed=scan.provenance.seeds["seed"])
    carry_out = partial(
        attack_cuts,
        graph,
        [graph.cut(name) for name in chosen],
        attacks=suite,
        others=every_attack(),
        seed=seed,
        memory_bytes=memory,
        logits=scan.cuts[-1].radius_sq_paper is not None,
        device=device,
        run=scan.model.sha256,
        witnesses=witnesses,
        progress=progress,
    )
    leakage = carry_out(parts=parts, folder=run.parts_folder, queries=most, report=draft.save)

    def attempt(fewer: Parts, count: int, name: str) -> Leakage:
        folder = run.parts_folder / name
        return carry_out(parts=fewer, folder=folder, queries=count, zero=parts.training, least=LEAST // 2)

    record = draft.save(leakage)
    if sizes or len(queries) > 1:
        for points in sweep(parts, leakage, sizes, sorted(queries), seed, attempt):
            record = draft.save(leakage, points)
    return record


def choose_cuts(scan: ScanRecord, cuts: str) -> tuple[str, ...]:
    """The names that --cuts means, in the order of the network.

    Raises:
        ModelError: A name that the scan does not have, or no zone where "zone" was asked for.
    """
    names = [row.name for row in scan.cuts]
    if cuts == "all":
        return tuple(names)
    if cuts == "zone":
        if scan.zone.first is None:
            raise ModelError("the default rule finds no zone, so there is none to attack", "Use --cuts all.")
        start = names.index(scan.zone.first)
        return tuple(names[max(0, start - 1) :])
    return name_cuts(scan.cuts, cuts)


def check_cuts(target: Target, level: str, cuts: str) -> None:
    """Refuse names that a scan at this level will not have, before it is made.

    Raises:
        ModelError: A name is not among the cuts of the level.
    """
    if cuts not in ("all", "zone"):
        name_cuts(find_cuts(target.model, target.input_shape).at_level(level), cuts)


def name_cuts(cuts: Sequence[Cut], asked: str) -> tuple[str, ...]:
    """The names behind names and aliases separated by commas, in the order of the network.

    Raises:
        ModelError: One that is not among the cuts.
    """
    known = {alias: cut.name for cut in cuts for alias in (cut.name, *cut.aliases)}
    wanted = [name.strip() for name in asked.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise ModelError(
            f"the model has no cut {', '.join(unknown)}",
            f"At this level it has {', '.join(cut.name for cut in cuts)}; --level shows more.",
        )
    found = {known[name] for name in wanted}
    return tuple(cut.name for cut in cuts if cut.name in found)


def divide_parts(target: Target, pack: Pack, aux: str | None, victims: int, seed: int) -> Parts:
    """The attacker's images and the victims, without an image in common."""
    attacker = pack.attacker
    if aux is not None:
        own = load_images(aux, shape=target.input_shape, labelled=False)
        attacker = own.attacker or own.scanned
    if attacker is None:
        most = len(pack.scanned) // 2
        if victims > most and victims != VICTIMS:
            raise DataError(
                f"{victims} victims of {len(pack.scanned)} images leave the attacker less than half of them",
                f"Ask for at most {most}, or give the attacker its own images with --aux.",
            )
        victims = min(victims, most)
    different = len(np.unique(pack.scanned.hashes()))
    same = aux is None and (pack.attacker is None or pack.attacker.spec == pack.scanned.spec)
    return divide(pack.scanned, attacker, victims=min(victims, different), seed=seed, auxiliary_same_data=same)


@dataclass(frozen=True, eq=False)
class _Draft:
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
        inferred = {
            (one.cut, one.target, one.probe): one for one in (*(before.inferred if before else ()), *leakage.inferred)
        }
        done = {*results, *((one.cut, Probe().name) for one in inferred.values())}
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
            inferred=tuple(sorted(inferred.values(), key=lambda one: order.index(one.cut))),
            worst=worst,
            zone_post_hoc=post_hoc_zone(curve, class_mean, flat, names, share=0.5),
            zone_post_hoc_quarter=post_hoc_zone(curve, class_mean, flat, names, share=0.25),
            complete=leakage.complete,
            worst_by_knowledge=_by_knowledge(order, ranked),
            sweep=self._sweep(points),
            provenance=self.watch.provenance(settings=self.settings, seed=self.settings["seed"], device=self.device),
        )

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
