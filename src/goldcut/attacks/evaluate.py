"""Attacks x cuts: one pass of the edge feeds all, trainings run side by side, finished work is kept.

Victims enter twice, and nowhere else: their Z goes through a finished Inverse, and the Judge compares
what comes out with their pixels. A View holds nothing of them.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from goldcut.attacks.attributes import Probe
from goldcut.attacks.base import Attack
from goldcut.attacks.desk import Desk
from goldcut.attacks.features import group_cuts, is_stochastic, storage
from goldcut.attacks.finished import Finished
from goldcut.attacks.leakage import Leakage, as_pictures
from goldcut.attacks.plan import (
    Ledger,
    Plan,
    check_names,
    has_secrets,
    hash_parts,
    read_finished,
    summarise,
)
from goldcut.attacks.scoring import Judge, mean_of
from goldcut.attacks.shelf import Shelf
from goldcut.cuts import CutGraph
from goldcut.errors import AttackError
from goldcut.metrics.witness import Witness
from goldcut.progress import Progress, silent
from goldcut.records import Cut
from goldcut.sources.images import Images, Parts

LEAST_TRAINING = 200
"""Training images below which an attack says more about its lack of images than about the cut."""

FEATURES_SHARE = 0.75
"""Share of the memory that Z may take; the rest is for images, trainings and the edge."""


def attack_cuts(
    graph: CutGraph,
    cuts: Sequence[Cut],
    parts: Parts,
    attacks: Sequence[Attack | Probe],
    *,
    others: Sequence[Attack] = (),
    seed: int,
    folder: Path,
    memory_bytes: int,
    logits: bool = True,
    queries: int = 1,
    zero: Images | None = None,
    least: int = LEAST_TRAINING,
    device: str = "cpu",
    run: str = "",
    witnesses: Sequence[Witness] = (),
    workers: int | None = None,
    progress: Progress = silent,
    report: Callable[[Leakage], object] | None = None,
) -> Leakage:
    """Attack cuts together and score every attack on the victims once.

    Results do not depend on which other cuts are in the call, nor, up to rounding, on `workers`. What an attack that
    follows starts from is in its key: with more to start from it is carried out again.

    Args:
        graph: From find_cuts; its model is on `device`.
        cuts: To be attacked, in order.
        parts: The attacker's images and the victims.
        attacks: From choose_attacks, or any objects of your own; a Probe where the victims have classes.
        others: Attacks that may be finished in `folder` and are not asked for; what follows starts from them as well.
        seed: Of everything random.
        folder: Where finished work is kept; the same call again skips it.
        memory_bytes: For everything; cuts whose Z does not fit together are attacked one group after the
            other, and one that does not fit alone from disk.
        logits: Whether the model's output is logits, so that labels can be predicted.
        queries: How often an image passes a stochastic edge; the attacker averages. Of no use otherwise.
        zero: Images whose mean is the zero of `recovered`; the attacker's training images when None.
        least: Training images that are asked for; fewer say more about the attacker than about the cut.
        device: Where to compute.
        run: What else the work depends on, such as the hash of the scan; part of its key.
        witnesses: Networks of the user that look at the reconstructions too.
        workers: Trainings side by side; by default the threads of PyTorch, and 1 on a GPU.
        progress: Told what is done.
        report: Called with the leakage so far whenever an attack is finished.

    Raises:
        AttackError: The attacker has too few images, or two attacks share a name.
        RunError: The folder cannot be written.
    """
    if len(parts.training) < least:
        raise AttackError(
            f"the attacker has {len(parts.training)} training images and an attack needs {least}",
            f"Give it {-(-10 * least // 9)} images beside the victims.",
        )
    check_names(attacks)
    stochastic = is_stochastic(graph, parts.selection, device)
    queries = queries if stochastic else 1
    said = tuple((one.figure, one.sha256) for one in witnesses)
    known = (run, seed, logits, hash_parts(parts), queries, zero and len(zero), *said)
    finished = Finished(folder, repr(known))
    places = {cut.name: place for place, cut in enumerate(graph.cuts)}
    shelf = Shelf(folder)
    plan = Plan(
        tuple(cuts),
        parts,
        tuple(one for one in attacks if isinstance(one, Attack)),
        seed,
        logits,
        device,
        finished,
        progress,
        places,
        shelf,
        stochastic=stochastic,
        queries=queries,
        probes=tuple(one for one in attacks if isinstance(one, Probe) and has_secrets(parts.victims)),
        others=tuple(others),
    )
    ledger = Ledger()
    missing = read_finished(plan, ledger)
    mean = mean_of(zero or parts.training)
    judge = Judge(parts.victims, plan.shape, mean, parts.auxiliary_same_data, seed, witnesses=tuple(witnesses))
    ceiling, pictures = judge.ceiling(), as_pictures(judge.victims)
    budget = int(FEATURES_SHARE * memory_bytes)
    count = workers or (torch.get_num_threads() if device == "cpu" else 1)
    turn = threading.Lock()

    def tell() -> None:
        if report is not None:
            with turn:  # what is reported last knows most
                report(summarise(plan, ledger, ceiling, pictures))

    for group in group_cuts([cut for cut in cuts if missing[cut.name]], plan.bytes_of, budget):
        on_disk = len(group) == 1 and plan.bytes_of(group[0]) > budget
        desk = Desk(plan, ledger, judge, tell)
        desk.attack_group(graph, group, missing, storage(folder if on_disk else None), count)
    return summarise(plan, ledger, ceiling, pictures)
