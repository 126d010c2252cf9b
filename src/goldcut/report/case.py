"""A run as the sentences of the verdict look at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from goldcut.records import AttackRecord, AttackResult, CutProfile, ScanRecord, Worst

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


def why_unsure(case: Case, cut: str) -> list[str]:
    """Attacks at a cut that failed or did not converge, where they could have got more than is known.

    One that was still improving matters where its interval reaches that of the strongest attack. The failure of an
    attacker who cannot even ask the edge says nothing of one who can.
    """
    worst, failures = case.worst.get(cut), case.attack.failed if case.attack else ()
    least = worst.recovered_low if worst and worst.recovered_low is not None else float("-inf")
    failed = [
        f"{one.attack} failed" for one in failures if one.cut == cut and one.needs not in ("none", "architecture")
    ]
    return failed + [
        f"{one.attack} was still improving"
        for one in case.results(cut)
        if not one.converged and (one.recovered if one.recovered_high is None else one.recovered_high) >= least
    ]
