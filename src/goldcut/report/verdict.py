"""The verdict of a run in words: what to do, why, and what stands against it.

Two witnesses are heard. The statistics of Z point to a zone; the attack says whether it is true. A
pointer is no proof, so a run without an attack never gets a reassuring sentence. The attack's own
zone (`zone_post_hoc`, fixed in advance in terms of what is recovered) judges the recommended cut:
    confirmed   the recommended cut lies in it        refuted   it does not, or no better attack brings it there
    open        the attack cannot decide yet          unattacked
    missed      only the attack finds a zone          no_zone   neither does
"""

from dataclasses import dataclass
from typing import Literal

from goldcut.records import AttackRecord, ScanRecord, unsettled
from goldcut.report.case import Case, Standing
from goldcut.report.cautions import attack_cautions, doubtful_accuracy, model_cautions
from goldcut.report.findings import advice, judgement, meaning, price, statistics
from goldcut.report.quantities import percent

Tone = Literal["good", "caution", "bad", "unknown"]

SINGLED_OUT = 0.5
"""Identification from which on a confirmed cut is no good news: the right image of 20 is found more often than not."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a person reads first.

    Attributes:
        standing: How the two witnesses stand to each other.
        tone: "good" only where the attack confirms the cut by both post hoc rules on a working model and its
            reconstructions single out the right image in less than half of the cases.
        headline: One sentence.
        cut: The cut that the verdict speaks of, if any.
        findings: Why, and what the figures mean, in reading order.
        advice: What to do now.
        cautions: What must be known before the findings are used.
    """

    standing: Standing
    tone: Tone
    headline: str
    cut: str | None
    findings: tuple[str, ...]
    advice: tuple[str, ...]
    cautions: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """The whole verdict as sentences, the headline first."""
        return (self.headline, *self.findings, *self.advice, *self.cautions)


def reach_verdict(scan: ScanRecord, attack: AttackRecord | None = None) -> Verdict:
    """Say what a run means. Pure: the same records give the same words."""
    case = Case(scan, attack if attack and attack.worst else None)
    standing = _standing(case)
    cut = _subject(case, standing)
    cautions = (*model_cautions(scan), *attack_cautions(case), *scan.warnings)
    findings = (
        *statistics(scan),
        *judgement(case, standing),
        *(meaning(case, cut) if cut else ()),
        *(price(case, cut) if cut else ()),
    )
    return Verdict(
        standing=standing,
        tone=_tone(case, standing, cut),
        headline=_headline(case, standing),
        cut=cut,
        findings=findings,
        advice=tuple(advice(case, standing, cut)),
        cautions=cautions,
    )


def _standing(case: Case) -> Standing:
    if case.attack is None:
        return "unattacked"
    judged, recommended = case.attack.zone_post_hoc, case.scan.recommended
    if recommended and any(case.place[recommended] <= case.place[name] for name in case.overthrown):
        return "refuted"
    if not judged.decided or not case.attack.complete or (recommended and recommended not in case.worst):
        return "open"
    if recommended is None:
        return "missed" if judged.first else "no_zone"
    if judged.first is None or case.place[recommended] < case.place[judged.first]:
        return "refuted"
    return "open" if recommended and unsettled(case.attack, recommended) else "confirmed"


def _subject(case: Case, standing: Standing) -> str | None:
    if standing == "missed" and case.attack:
        return case.attack.zone_post_hoc.first
    if case.scan.recommended:
        return case.scan.recommended
    least = case.least_leaking()
    return least.cut if least else None


def _tone(case: Case, standing: Standing, cut: str | None) -> Tone:
    if standing in ("unattacked", "open"):
        return "unknown"
    if standing in ("refuted", "no_zone"):
        return "bad"
    quarter = case.attack.zone_post_hoc_quarter if case.attack else None
    deep = bool(quarter and quarter.first and cut and case.place[cut] >= case.place[quarter.first])
    told = case.told_apart(cut) if cut else None
    singled_out = told is not None and (told.identification or 0) >= SINGLED_OUT
    fine = standing == "confirmed" and deep and not singled_out and not doubtful_accuracy(case.scan)
    return "good" if fine else "caution"


def _headline(case: Case, standing: Standing) -> str:
    cut = case.scan.recommended
    if standing == "unattacked":
        pointer = f"The statistics point to {cut}." if cut else "The statistics show no zone."
        return f"{pointer} Not attacked: this is no evidence of safety."
    if standing == "open":
        return f"{cut} is a candidate, not a result: the attack cannot decide yet." if cut else "Not decided yet."
    if standing == "confirmed" and cut:
        return f"At {cut}, inside the zone, attacks still {_gained(case, cut)}."
    if standing == "refuted":
        return f"Do not rely on {cut}: the attack refutes the zone that the statistics point to."
    if standing == "missed" and case.attack:
        first = case.attack.zone_post_hoc.first
        gained = f"; there they still {_gained(case, first)}" if first else ""
        return f"The statistics show no zone. Attacks weaken from {first} on{gained}."
    return "No zone: no attacked cut of this model resists inversion."


def _gained(case: Case, cut: str) -> str:
    """What the strongest attacks get at a cut, in words."""
    told = case.told_apart(cut)
    also = f" and single out the right image of 20 in {percent(told.identification)} of the cases" if told else ""
    return f"recover {percent(case.worst[cut].recovered)} of the pixel variance{also}"
