"""Claims of the paper and the verdict on each: pure functions of what was measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
import numpy as np

from goldcut.records import AttackResult, ClaimRecord, Verdict

STUDENT: dict[int, float] = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""97.5 % quantile of Student's t by degrees of freedom."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What paper.yaml says of a claim; see the top of that file."""

    id: str
    table: str
    kind: Literal["direction", "number", "ours"]
    claim: str
    figure: str
    paper: str | None
    source: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def needs(self) -> str:
        """In words."""
        bounds = (("at least", self.at_least), ("at most", self.at_most))
        return ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


@dataclass(frozen=True)
class Figure:
    """A measured quantity with 95 % limits; both are the value where nothing was drawn at random."""

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> "Figure":
        """One that is counted."""
        return cls(value, value, value)


@cache
def read_claims() -> dict[str, Claim]:
    """All claims by their id."""
    text = files("goldcut.reproduce").joinpath("paper.yaml").read_bytes()
    return {claim.id: claim for claim in msgspec.yaml.decode(text, type=list[Claim])}


def judge(id: str, subject: str, figure: Figure | None, *, difference: str, doubt: str = "") -> ClaimRecord:
    """The verdict on a claim.

    It holds where the whole interval keeps the bounds, does not where the whole interval breaks one of them, and cannot
    be tested where the interval reaches both sides, where something makes the figure unfit, or where the claim is a
    number of another setting.

    Args:
        id: Of the claim.
        subject: What it was looked at on.
        figure: What was measured; None where a step is missing, NaN where what was measured has no such figure.
        difference: How the setting differs from the paper's; empty where it is the same.
        doubt: Why the figure cannot decide; empty where it can.

    Example:
        >>> judge("shallow-ratio", "a network", Figure(6.0, 5.0, 7.0), difference="small").verdict
        'holds'
    """
    claim = read_claims()[id]
    verdict, reason = _decide(claim, figure, difference, doubt)
    if figure is not None and math.isnan(figure.value):
        figure = None
    return ClaimRecord(
        id=id,
        subject=subject,
        claim=claim.claim,
        figure=claim.figure,
        paper=claim.paper,
        source=claim.source,
        value=figure.value if figure else None,
        low=figure.low if figure else None,
        high=figure.high if figure else None,
        needs=claim.needs,
        verdict=verdict,
        reason=reason,
        difference=difference,
    )


def _decide(claim: Claim, figure: Figure | None, difference: str, doubt: str) -> tuple[Verdict, str]:
    if figure is None:
        return "not run", doubt or "a step that it needs has not been carried out"
    if claim.kind == "number" and difference:
        return "not testable at this scale", "a number of the published setting, and ours is another"
    if doubt:
        return "not testable at this scale", doubt
    least = -math.inf if claim.at_least is None else claim.at_least
    most = math.inf if claim.at_most is None else claim.at_most
    if least <= figure.low and figure.high <= most:
        return "holds", ""
    if figure.high < least or figure.low > most:
        return "does not hold", ""
    return "not testable at this scale", "the interval reaches both sides of the bound"


def best(results: Sequence[AttackResult], cut: str) -> AttackResult | None:
    """The attack at a cut that the attacker's own selection images say is best; no victim chooses."""
    return min((one for one in results if one.cut == cut), key=lambda one: one.selection_mse, default=None)


def _limits(result: AttackResult) -> tuple[float, float]:
    """Of the MSE; the value itself where there are none."""
    return result.mse_low or result.mse, result.mse_high or result.mse


def ratio(above: AttackResult | None, below: AttackResult | None) -> Figure | None:
    """MSE over MSE; the limits are the widest that the two intervals allow, so they are wider than a paired one's."""
    if above is None or below is None or below.mse <= 0:
        return None
    (low, high), (floor, ceiling) = _limits(above), _limits(below)
    return Figure(above.mse / below.mse, low / ceiling, high / max(floor, 1e-12))


def rise(above: AttackResult | None, below: AttackResult | None) -> Figure | None:
    """MSE less MSE, with the widest limits that the two intervals allow."""
    if above is None or below is None:
        return None
    (low, high), (floor, ceiling) = _limits(above), _limits(below)
    return Figure(above.mse - below.mse, low - ceiling, high - floor)


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> Figure | None:
    """Geometric mean over seeds of above / below, with limits by Student's t on the logarithms; None without pairs.

    One pair has no limits: they are 0 and infinity, so that it decides nothing.
    """
    if not above or min(*above, *below) <= 0:
        return None
    found = paired_difference(np.log(above).tolist(), np.log(below).tolist())
    return None if found is None else Figure(*(math.exp(min(x, 700)) for x in (found.value, found.low, found.high)))


def paired_difference(above: Sequence[float], below: Sequence[float]) -> Figure | None:
    """Mean over seeds of above - below, with limits by Student's t; None without pairs."""
    if not above:
        return None
    steps = np.asarray(above) - np.asarray(below)
    mean = float(steps.mean())
    if len(steps) < 2:
        return Figure(mean, -math.inf, math.inf)
    reach = STUDENT.get(len(steps) - 1, 1.96) * float(steps.std(ddof=1)) / math.sqrt(len(steps))
    return Figure(mean, mean - reach, mean + reach)


def share_of(hits: int, trials: int) -> Figure | None:
    """A share with Wilson's limits (1927)."""
    if not trials:
        return None
    z, p = 1.96, hits / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    return Figure(p, max(0.0, min(p, centre - reach)), min(1.0, max(p, centre + reach)))
