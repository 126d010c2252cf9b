"""From a scanned run to attack.json: the independent check of the zone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from goldcut.attacks.attributes import Probe
from goldcut.attacks.base import Attack
from goldcut.attacks.evaluate import attack_cuts
from goldcut.attacks.leakage import Leakage
from goldcut.attacks.plan import hash_attributes, hash_parts
from goldcut.attacks.suite import choose_attacks, every_attack
from goldcut.cuts.graph import find_cuts
from goldcut.errors import DataError, ModelError
from goldcut.progress import Progress, silent
from goldcut.records import AttackRecord, Cut, Knowledge, ScanRecord
from goldcut.sources.images import Pack, Parts, divide, load_images
from goldcut.sources.models import Target
from goldcut.study.defended import open_graph
from goldcut.study.draft import Draft
from goldcut.study.provenance import Stopwatch
from goldcut.study.run import Run, refuse_other_settings, reopen, same
from goldcut.study.scan import MEMORY_BYTES
from goldcut.study.sweep import LEAST, check_sizes, sweep
from goldcut.study.witnesses import call_witnesses

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
    parts = divide_parts(target, pack, aux, victims, seed)
    settings["images_sha256"] = hash_parts(parts)
    before = run.attack()
    if before is not None:
        then = {"queries": 1, "images_sha256": settings["images_sha256"], **before.provenance.settings}
        then.pop("attributes_sha256", None)
        refuse_other_settings(run, "attack", {key: then.get(key) for key in settings}, settings)
    settings["attributes_sha256"] = hash_attributes(parts)
    chosen = choose_cuts(scan, cuts)
    suite = choose_attacks(attacks, effort, knowledge) if isinstance(attacks, str) else tuple(attacks)
    draft = Draft(run, scan, before, parts, aux or parts.training.spec, aux_seen, watch, settings, device)
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
        run=_identify(scan),
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


def _identify(scan: ScanRecord) -> str:
    """What of a scan an attack's result depends on: the weights, and the defence with what it draws from."""
    if scan.defense is None:
        return scan.model.sha256
    return f"{scan.model.sha256} {scan.defense} {scan.provenance.seeds['seed']}"


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
