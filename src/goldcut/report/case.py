"""A run as the sentences of the verdict look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from goldcut.records import AttackRecord, AttackResult, CutProfile, ScanRecord, Worst
from goldcut.zone.post_hoc import post_hoc_level

Standing = Literal["confirmed", "refuted", "open", "unattacked", "missed", "no_zone"]


@dataclass(frozen=True)
class Case:
    """A scan and its attack with the look-ups that every sentence needs."""

    scan: ScanRecord
    attack: AttackRecord | None

    @property
    def place(self) -> Mapping[str, int]:
        return {cut.name: position for position, cut in enumerate(self.scan.cuts)}

    @property
    def worst(self) -> Mapping[str, Worst]:
        return {worst.cut: worst for worst in self.attack.worst} if self.attack else {}

    @property
    def class_mean(self) -> float | None:
        mean = self.attack.baselines.class_mean if self.attack else None
        return mean.recovered if mean else None

    @property
    def overthrown(self) -> Sequence[str]:
        """Cuts of the default zone that no better attack can make one of the post hoc zone.

        More is recovered there than the level of that rule would be if all were at the first cut.
        """
        if self.class_mean is None:
            return ()
        highest = post_hoc_level(1.0, self.class_mean)
        return [name for name in self.scan.zone.cuts if name in self.worst and self.worst[name].recovered > highest]

    def cut(self, name: str) -> CutProfile:
        return self.scan.cuts[self.place[name]]

    def results(self, name: str) -> tuple[AttackResult, ...]:
        return tuple(result for result in self.attack.results if result.cut == name) if self.attack else ()

    def told_apart(self, name: str) -> AttackResult | None:
        """The result at a cut whose reconstructions single out the right image most often."""
        told = [result for result in self.results(name) if result.identification is not None]
        return max(told, key=lambda result: result.identification or 0, default=None)

    def least_leaking(self) -> Worst | None:
        """The attacked cut, the output left out, at which the strongest attack got the least."""
        inner = [worst for name, worst in self.worst.items() if self.cut(name).level != "output"]
        return min(inner, key=lambda worst: worst.recovered, default=None)
