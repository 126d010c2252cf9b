"""The gate of a pipeline: a statement about the worst attack that fails the build when it holds.

The gate is for safety, so it fails whenever it is not sure: it tests the upper limit of the interval,
and a result that is missing, failed or not converged fails it.
"""

import re
from dataclasses import dataclass
from typing import Literal

from goldcut.errors import GoldcutError
from goldcut.records import AttackRecord, AttackResult, ScanRecord

FIGURES = ("recovered", "identification")
"""Figures with an interval, where more means that the attacker gets more."""


@dataclass(frozen=True)
class Gate:
    """Fails when `figure` of the worst attack may be above (or, with >=, at) `limit`."""

    figure: str
    comparison: Literal[">", ">="]
    limit: float

    def holds_for(self, upper: float) -> bool:
        """Whether the condition to fail on is met by the upper limit of an interval."""
        return upper > self.limit or (self.comparison == ">=" and upper == self.limit)


@dataclass(frozen=True)
class Judgement:
    """Whether the gate lets pass, and why."""

    passed: bool
    reason: str


def parse_gate(text: str) -> Gate:
    """Read a condition such as "recovered > 0.2".

    Raises:
        GoldcutError: The text is no such condition.

    Example:
        >>> parse_gate("recovered > 0.2")
        Gate(figure='recovered', comparison='>', limit=0.2)
    """
    found = re.fullmatch(r"\s*(\w+)\s*(>=|>)\s*(\d*\.?\d+)\s*", text)
    if not found or found[1] not in FIGURES:
        raise GoldcutError(
            f"{text!r} is no condition to fail on",
            f'Write one of {", ".join(FIGURES)}, > or >=, and a number, such as "recovered > 0.2".',
        )
    gate = Gate(found[1], ">=" if found[2] == ">=" else ">", float(found[3]))
    if not gate.holds_for(1.0):
        raise GoldcutError(f"{text!r} never holds, so the gate lets everything pass", "Give a share below 1.")
    return gate


def judge(gate: Gate, cut: str, scan: ScanRecord, attack: AttackRecord) -> Judgement:
    """Apply a gate to one cut ("recommended" or a name) of a run."""
    aliases = {alias: row.name for row in scan.cuts for alias in row.aliases}
    name = scan.recommended if cut == "recommended" else aliases.get(cut, cut)
    if name is None:
        return Judgement(False, "no cut is recommended: the default rule finds no zone")
    if failed := [failure for failure in attack.failed if failure.cut == name]:
        return Judgement(False, f"{failed[0].attack} failed at {name}: {failed[0].reason}")
    results = [result for result in attack.results if result.cut == name]
    if not results or not attack.complete:
        return Judgement(False, f"{name} was not attacked to the end")
    if unsure := [result.attack for result in results if not result.converged]:
        return Judgement(False, f"{', '.join(unsure)} did not converge at {name}: the attacker may get more")
    uppers = {result.attack: upper for result in results if (upper := _upper(gate, result)) is not None}
    if not uppers:
        return Judgement(False, f"{gate.figure} was not measured at {name}")
    attacker, upper = max(uppers.items(), key=lambda item: item[1])
    passed = not gate.holds_for(upper)
    sign = {">": "<=", ">=": "<"}[gate.comparison] if passed else gate.comparison
    return Judgement(passed, f"{gate.figure} of {attacker} at {name} is up to {upper:.3f} {sign} {gate.limit:g}")


def _upper(gate: Gate, result: AttackResult) -> float | None:
    return result.recovered_high if gate.figure == "recovered" else result.identification_high
