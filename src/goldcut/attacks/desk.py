"""Where the pieces of work at a group of cuts are made, carried out side by side, and filed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

import torch
from torch import Tensor

from goldcut.attacks.attributes import Probe
from goldcut.attacks.base import Attack, Inverse, View
from goldcut.attacks.baselines import class_mean_images, nearest_images
from goldcut.attacks.crew import run_together
from goldcut.attacks.leakage import PICTURES, as_pictures
from goldcut.attacks.plan import (
    CLASS_MEAN,
    MEAN_IMAGE,
    NEAREST,
    Ledger,
    Plan,
)
from goldcut.attacks.reading import Group, read_group
from goldcut.attacks.scoring import Judge
from goldcut.cuts import CutGraph
from goldcut.errors import AttackError, GoldcutError
from goldcut.progress import Progress
from goldcut.records import AttackResult, Cut, Failure, Scores


@dataclass(frozen=True, eq=False)
class Desk:
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
        waves: list[list[Callable[[Progress], None]]] = [[], [], []]
        # What comes last in a set takes longest: it begins.
        for attack in (*reversed(self.plan.attacks), *self.plan.probes, None):
            for cut in (one for one in group if attack in missing[one.name]):
                if broken := read.broken[cut.name]:
                    self._fail(cut, attack, f"Z is not finite for {broken} images at this cut")
                else:
                    waves[_wave(attack)].append(self._piece(cut, attack, read, judge))
        for work in waves:
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
            attributes=plan.parts.victims.attributes,
            n_classes=len(plan.parts.victims.classes),
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
            starts = tuple(self._starts(cut, plan.starts(cut, attack), view, progress))
            granted = replace(granted, starts=starts)
        inverse = attack.train(
            granted,
            seed=plan.seed_of(cut, attack.name),
            progress=lambda task, done, total: progress(f"{task} at {cut.name}", done, total),
            checkpoint=plan.checkpoint(cut, attack),
        )
        self.inverses[cut.name, attack.name] = inverse = replace(inverse, attack=attack.name)
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
        arrays = {PICTURES: as_pictures(made), **figures}
        starts = self.plan.starts(cut, attack)
        if not any((cut.name, one.name) in self.ledger.failures for one in starts):  # else it is made again with all
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


def _wave(attack: Attack | Probe | None) -> int:
    """0 for what stands alone, 1 for what follows that, 2 for what may follow all of them."""
    if not isinstance(attack, Attack) or not attack.follows:
        return 0
    return 2 if attack.needs == "weights" else 1


def _reason(error: Exception) -> str:
    """The error in one line."""
    said = str(error).strip().splitlines()
    first = said[0] if said else "no message"
    return first if isinstance(error, GoldcutError) else f"{type(error).__name__}: {first}"
