"""The search over an audit's cuts: which ones keep all limits, which of those no other beats, why the rest are refused.

A limit that cannot be checked is not kept: a cut that was not attacked, or not to the end, is refused.
"""

from collections.abc import Iterator
from dataclasses import replace

from goldcut.cost.link import parse_link, transfer_seconds
from goldcut.records import AttackRecord, Candidate, CutProfile, Limits, RecommendRecord, ScanRecord, unsettled
from goldcut.report.pareto import pareto
from goldcut.report.quantities import count, percent, seconds, size

BYTES_A_WEIGHT = 4


def recommend(scan: ScanRecord, attack: AttackRecord | None, limits: Limits) -> RecommendRecord:
    """Every cut but the output against the limits.

    Args:
        scan: Prices of the cuts.
        attack: What was recovered; None where nothing was attacked.
        limits: What a cut must keep.

    Raises:
        DataError: The link is none.
    """
    judged = tuple(
        _judge(_candidate(cut, attack, limits), limits, attack) for cut in scan.cuts if cut.level != "output"
    )
    kept = [one for one in judged if not one.refused]
    front = {one.cut for one, best in zip(kept, pareto([_figures(one) for one in kept]), strict=True) if best}
    return RecommendRecord(
        limits=limits,
        candidates=tuple(replace(one, on_front=one.cut in front) for one in judged),
        recommended=min(kept, key=lambda one: one.edge_flops).cut if kept else None,
    )


def _candidate(cut: CutProfile, attack: AttackRecord | None, limits: Limits) -> Candidate:
    worst = next((one for one in attack.worst if one.cut == cut.name), None) if attack else None
    peak = cut.edge_peak_bytes
    return Candidate(
        cut=cut.name,
        recovered=worst.recovered if worst else None,
        recovered_high=worst.recovered_high if worst else None,
        edge_flops=cut.edge_flops,
        edge_memory=None if peak is None else peak + BYTES_A_WEIGHT * cut.edge_params,
        payload=cut.payload_bytes,
        seconds=None if limits.link is None else _time(cut, limits.link),
    )


def _time(cut: CutProfile, link: str) -> float:
    """Seconds of a sample: on the link, and in the halves where they were timed."""
    halves = (cut.edge_seconds or 0.0) + (cut.cloud_seconds or 0.0)
    return transfer_seconds(cut.payload_bytes, parse_link(link)) + halves


def _judge(one: Candidate, limits: Limits, attack: AttackRecord | None) -> Candidate:
    return replace(one, refused=(*_leaks(one, limits, attack), *_costs(one, limits)))


def _leaks(one: Candidate, limits: Limits, attack: AttackRecord | None) -> Iterator[str]:
    """Why it may leak too much."""
    if limits.recovered is None:
        return
    if attack is None or one.recovered is None:
        yield "it was not attacked"
        return
    upper = one.recovered if one.recovered_high is None else one.recovered_high
    if upper > limits.recovered:
        yield f"up to {percent(upper)} is recovered, allowed is {percent(limits.recovered)}"
    elif open_ends := unsettled(attack, one.cut):
        yield f"an attacker may get more: {', '.join(open_ends)}"


def _costs(one: Candidate, limits: Limits) -> Iterator[str]:
    """Which prices are too high."""
    if limits.edge_flops is not None and one.edge_flops > limits.edge_flops:
        yield f"the edge half takes {count(one.edge_flops)} FLOPs, allowed are {count(limits.edge_flops)}"
    if limits.payload is not None and one.payload > limits.payload:
        yield f"Z has {size(one.payload)}, allowed are {size(limits.payload)}"
    if limits.edge_memory is not None:
        if one.edge_memory is None:
            yield "the memory of the edge half was not measured (scan with --measure)"
        elif one.edge_memory > limits.edge_memory:
            yield f"the edge half takes {size(one.edge_memory)}, allowed are {size(limits.edge_memory)}"
    if limits.seconds is not None and one.seconds is not None and one.seconds > limits.seconds:
        yield f"a sample takes {seconds(one.seconds)}, allowed are {seconds(limits.seconds)}"


def _figures(one: Candidate) -> tuple[float, ...]:
    """What is to be small; what was not measured counts as the worst."""
    worst = float("inf")
    recovered = worst if one.recovered is None else one.recovered
    return (recovered, one.edge_flops, one.payload, worst if one.edge_memory is None else one.edge_memory)
