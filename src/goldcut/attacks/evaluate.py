"""Attacks x cuts: one pass of the edge feeds all, trainings run side by side, finished work is kept.

Victims enter twice, and nowhere else: their Z goes through a finished Inverse, and the Judge compares
what comes out with their pixels. A View holds nothing of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from torch import Tensor

from goldcut.attacks.attributes import Probe
from goldcut.attacks.base import Attack, Inverse, View
from goldcut.attacks.baselines import class_mean_images, nearest_images
from goldcut.attacks.crew import run_together
from goldcut.attacks.features import group_cuts, is_stochastic, storage
from goldcut.attacks.finished import Finished
from goldcut.attacks.leakage import PICTURES, Leakage, Pictures
from goldcut.attacks.plan import (
    CLASS_MEAN,
    MEAN_IMAGE,
    NEAREST,
    Ledger,
    Plan,
    check_names,
    hash_parts,
    read_finished,
    summarise,
)
from goldcut.attacks.reading import Group, read_group
from goldcut.attacks.scoring import Judge, mean_of
from goldcut.attacks.shelf import Shelf
from goldcut.cuts import CutGraph
from goldcut.errors import AttackError, GoldcutError
from goldcut.progress import Progress, silent
from goldcut.records import AttackResult, Cut, Failure, Scores
from goldcut.sources.images import Images, Parts

LEAST_TRAINING = 200
"""Training images below which an attack says more about its lack of images than about the cut."""

FEATURES_SHARE = 0.75
"""Share of the memory that Z may take; the rest is for images, trainings and the edge."""

GALLERY = 16
"""Victims whose reconstructions are kept as pictures."""


def attack_cuts(
    graph: CutGraph,
    cuts: Sequence[Cut],
    parts: Parts,
    attacks: Sequence[Attack | Probe],
    *,
    seed: int,
    folder: Path,
    memory_bytes: int,
    logits: bool = True,
    queries: int = 1,
    zero: Images | None = None,
    least: int = LEAST_TRAINING,
    device: str = "cpu",
    run: str = "",
    workers: int | None = None,
    progress: Progress = silent,
    report: Callable[[Leakage], object] | None = None,
) -> Leakage:
    """Attack cuts together and score every attack on the victims once.

    Results do not depend on which other cuts or attacks are in the call, nor, up to rounding, on `workers`.

    Args:
        graph: From find_cuts; its model is on `device`.
        cuts: To be attacked, in order.
        parts: The attacker's images and the victims.
        attacks: From choose_attacks, or any objects of your own; a Probe where the victims have classes.
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
    finished = Finished(folder, repr((run, seed, logits, hash_parts(parts), queries, zero and len(zero))))
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
        probes=tuple(one for one in attacks if isinstance(one, Probe) and len(parts.victims.classes) > 1),
    )
    ledger = Ledger()
    missing = read_finished(plan, ledger)
    judge = Judge(parts.victims, plan.shape, mean_of(zero or parts.training), parts.auxiliary_same_data, seed)
    ceiling, pictures = judge.ceiling(), _as_pictures(judge.victims)
    budget = int(FEATURES_SHARE * memory_bytes)
    count = workers or (torch.get_num_threads() if device == "cpu" else 1)

    def tell() -> None:
        if report is not None:
            report(summarise(plan, ledger, ceiling, pictures))

    for group in group_cuts([cut for cut in cuts if missing[cut.name]], plan.bytes_of, budget):
        on_disk = len(group) == 1 and plan.bytes_of(group[0]) > budget
        desk = _Desk(plan, ledger, judge, tell)
        desk.attack_group(graph, group, missing, storage(folder if on_disk else None), count)
    return summarise(plan, ledger, ceiling, pictures)


@dataclass(frozen=True, eq=False)
class _Desk:
    """Where the pieces of a group are made, carried out and filed."""

    plan: Plan
    ledger: Ledger
    judge: Judge
    tell: Callable[[], None]
    inverses: dict[tuple[str, str], Inverse] = field(default_factory=dict)

    def attack_group(
        self,
        graph: CutGraph,
        group: Sequence[Cut],
        missing: Mapping[str, Sequence[Attack | Probe | None]],
        make: Callable[[tuple[int, ...]], Tensor],
        workers: int,
    ) -> None:
        """Read Z of the group in one pass and carry out what is missing: first what stands alone, then what follows."""
        read = read_group(graph, self.plan, group, make)
        judge = self._judge_of(read)
        self._score_constants(judge)
        alone: list[Callable[[Progress], None]] = []
        following: list[Callable[[Progress], None]] = []
        # What comes last in a set takes longest: it begins.
        for attack in (*reversed(self.plan.attacks), *self.plan.probes, None):
            for cut in (one for one in group if attack in missing[one.name]):
                if broken := read.broken[cut.name]:
                    self._fail(cut, attack, f"Z is not finite for {broken} images at this cut")
                else:
                    work = following if isinstance(attack, Attack) and attack.follows else alone
                    work.append(self._piece(cut, attack, read, judge))
        for work in (alone, following):
            run_together(work, workers=workers, progress=self.plan.progress)

    def _judge_of(self, read: Group) -> Judge:
        """The judge with the labels that this pass predicted."""
        own = next(iter(read.views.values())).training
        if own.labels is None or read.labels is None:
            return self.judge
        return self.judge.with_labels(read.labels, class_mean_images(own, self.judge.small_mean[0], read.labels))

    def _score_constants(self, judge: Judge) -> None:
        constants = {MEAN_IMAGE: judge.small_mean.expand_as(judge.victims), CLASS_MEAN: judge.class_means}
        for name, made in constants.items():
            if made is not None and name not in self.ledger.constants:
                scores = judge.score(made)
                self.plan.finished.write(name, self.plan.finished.key(name), scores, {})
                self.ledger.constants[name] = scores

    def _piece(self, cut: Cut, attack: Attack | Probe | None, read: Group, judge: Judge) -> Callable[[Progress], None]:
        """One attack, a probe, or the nearest neighbour, at one cut, as a piece of work."""
        view, z = read.views[cut.name], read.z[cut.name]
        if attack is None:
            return lambda _: self._file_nearest(cut, judge, nearest_images(view.training, z, view.device))

        def carry_out(progress: Progress) -> None:
            started = monotonic()
            try:
                if isinstance(attack, Probe):
                    self._infer(cut, attack, view, z, progress)
                    return
                inverse, made = self._carry_out(cut, attack, view, z, progress)
            except Exception as error:  # whatever one attack does wrong stops no other
                self._fail(cut, attack, _reason(error))
            else:
                self._file(cut, attack, judge, inverse, made, read.seconds + monotonic() - started)

        return carry_out

    def _infer(self, cut: Cut, probe: Probe, view: View, z: Tensor, progress: Progress) -> None:
        plan = self.plan
        inferred = probe.infer(
            view.granted(probe.needs),
            z,
            plan.parts.victims.labels,
            cut=cut.name,
            seed=plan.seed_of(cut, probe.name),
            progress=lambda task, done, total: progress(f"{task} at {cut.name}", done, total),
        )
        plan.finished.write(plan.stem(cut, probe.name), plan.key(cut, probe), inferred, {})
        with self.ledger.lock:
            self.ledger.inferred[cut.name, probe.name] = inferred
        self.tell()

    def _carry_out(self, cut: Cut, attack: Attack, view: View, z: Tensor, progress: Progress) -> tuple[Inverse, Tensor]:
        plan = self.plan
        inverse = self._train(cut, attack, view, progress)
        z = z[: attack.victims]
        made = inverse(z)
        if made.shape != (len(z), *plan.shape):
            expected = (len(z), *plan.shape)
            raise AttackError(f"{attack.name} made images of shape {tuple(made.shape)} instead of {expected}")
        if not torch.isfinite(made).all():
            raise AttackError(f"{attack.name} made values that are not finite")
        return inverse, made

    def _train(self, cut: Cut, attack: Attack, view: View, progress: Progress) -> Inverse:
        """Train an attack; what it starts from is trained first, which takes no time where it is on disk."""
        plan, granted = self.plan, view.granted(attack.needs)
        if attack.follows:
            before = [one for one in plan.attacks if one.needs == "queries" and not one.follows and one.victims is None]
            granted = replace(granted, starts=tuple(self._starts(cut, before, view, progress)))
        inverse = attack.train(
            granted,
            seed=plan.seed_of(cut, attack.name),
            progress=lambda task, done, total: progress(f"{task} at {cut.name}", done, total),
            checkpoint=plan.checkpoint(cut, attack),
        )
        self.inverses[cut.name, attack.name] = inverse
        return inverse

    def _starts(self, cut: Cut, attacks: Sequence[Attack], view: View, progress: Progress) -> Iterator[Inverse]:
        for attack in attacks:
            if (cut.name, attack.name) not in self.ledger.failures:
                yield self.inverses.get((cut.name, attack.name)) or self._train(cut, attack, view, progress)

    def _file(self, cut: Cut, attack: Attack, judge: Judge, inverse: Inverse, made: Tensor, seconds: float) -> None:
        judge = judge.first(attack.victims)
        figures = judge.per_victim(made)
        scores = judge.summarise(figures)
        result = AttackResult(
            **{name: getattr(scores, name) for name in Scores.__dataclass_fields__},
            cut=cut.name,
            attack=attack.name,
            selection_mse=inverse.selection_mse,
            converged=inverse.converged,
            steps=inverse.steps,
            seconds=seconds,
            recovered_full_size=judge.recovered_full_size(made),
            transform=inverse.transform,
            settings=inverse.settings,
            note=inverse.note,
            needs=attack.needs,
            victims=len(made),
        )
        arrays = {PICTURES: _as_pictures(made), **figures}
        self.plan.finished.write(self.plan.stem(cut, attack.name), self.plan.key(cut, attack), result, arrays)
        with self.ledger.lock:
            self.ledger.results[cut.name, attack.name] = result
            self.ledger.arrays[cut.name, attack.name] = arrays
        self.tell()

    def _file_nearest(self, cut: Cut, judge: Judge, made: Tensor) -> None:
        scores = judge.score(made)
        self.plan.finished.write(self.plan.stem(cut, NEAREST), self.plan.key(cut, None), scores, {})
        with self.ledger.lock:
            self.ledger.nearest[cut.name] = scores

    def _fail(self, cut: Cut, attack: Attack | Probe | None, reason: str) -> None:
        if attack is not None:
            with self.ledger.lock:
                self.ledger.failures[cut.name, attack.name] = Failure(
                    cut=cut.name, attack=attack.name, reason=reason, needs=attack.needs
                )
            self.tell()


def _reason(error: Exception) -> str:
    """The error in one line."""
    said = str(error).strip().splitlines()
    first = said[0] if said else "no message"
    return first if isinstance(error, GoldcutError) else f"{type(error).__name__}: {first}"


def _as_pictures(images: Tensor) -> Pictures:
    few = images[:GALLERY].permute(0, 2, 3, 1)
    return np.ascontiguousarray((few * 255).round().to(torch.uint8).numpy())
