"""Table (b): the largest drop of R_c^2 against the cut at which the attack's error jumps."""

from typing import Any

from goldcut.records import AttackRecord, ClaimRecord, ScanRecord
from goldcut.reproduce import levels
from goldcut.reproduce.judge import judge, ratio, rise, share_of
from goldcut.reproduce.scale import Scale
from goldcut.reproduce.steps import Scan, Step
from goldcut.reproduce.table import Answer, Results, Row, differ
from goldcut.zone.paper import find_indices

NEAR = 1
"""Candidates that the two may be apart."""


def plan(scale: Scale) -> tuple[Step, ...]:
    """The same steps as table (a)."""
    return levels.plan(scale)


def answer(scale: Scale, results: Results) -> Answer:
    """What the rule and the attack say of every network, and how often they agree."""
    every = levels.networks(scale)
    rows = tuple(row for name in every if (row := _row(scale, name, results)) is not None)
    doubt = "" if rows else f"none of {len(every)} networks has been attacked"

    def agree(id: str, apart: str) -> ClaimRecord:
        hits = [row[apart] <= NEAR for row in rows if row[apart] is not None]
        subject = f"{len(hits)} networks, {sum(hits)} hits"
        return judge(id, subject, share_of(sum(hits), len(hits)), difference=differ(scale, *every), doubt=doubt)

    return Answer(rows, (agree("rule-finds-jump", "apart_jump"), agree("rule-finds-rise", "apart_rise")))


def _row(scale: Scale, name: str, results: Results) -> Row | None:
    network, step = scale.networks[name], levels.attacked(scale, name)
    scan: ScanRecord | None = results.get(Scan(step.training))
    record: AttackRecord | None = results.get(step)
    factors, rises = (levels.jumps(network, results, step, measure) for measure in (ratio, rise))
    if scan is None or record is None or factors is None or rises is None:
        return None
    known = {alias: row.radius_sq_paper for row in scan.cuts for alias in (row.name, *row.aliases)}
    indices, reasons = find_indices([known[cut] for cut in network.candidates], network.candidates)
    jump, highest = (1 + max(range(len(found)), key=lambda turn: found[turn].value) for found in (factors, rises))
    zone = levels.attacked_zone(network, record)
    row: dict[str, Any] = {
        "network": network.spec,
        "accuracy": scan.accuracy,
        "candidates": len(network.candidates),
        "rule": network.candidates[indices[0]] if indices else None,
        "second": network.candidates[indices[1]] if len(indices) > 1 else None,
        "attack_jump": network.candidates[jump],
        "factor": factors[jump - 1].value,
        "attack_rise": network.candidates[highest],
        "rise": rises[highest - 1].value,
        "post_hoc_half": zone.first or ("no zone" if zone.decided else "not decided"),
        "apart_jump": abs(indices[0] - jump) if indices else None,
        "apart_rise": abs(indices[0] - highest) if indices else None,
        "last_apart_jump": len(network.candidates) - 1 - jump,
        "last_apart_rise": len(network.candidates) - 1 - highest,
        "reason": " ".join(reasons),
    }
    return row
