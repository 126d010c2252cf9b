"""Leakage against cost: which cuts no other cut beats."""

from collections.abc import Sequence

from goldcut.records import AttackRecord, ScanRecord


def pareto(points: Sequence[Sequence[float]]) -> tuple[bool, ...]:
    """For each point, whether no other is at most as large everywhere and smaller somewhere.

    Example:
        >>> pareto([(1, 3), (2, 2), (3, 3), (3, 1)])
        (True, True, False, True)
    """
    return tuple(not any(_beats(other, point) for other in points) for point in points)


def optimal_cuts(scan: ScanRecord, attack: AttackRecord | None) -> frozenset[str]:
    """Attacked cuts that no other attacked cut beats in recovered, edge FLOPs and payload at once.

    The output is left out: it is never recommended.
    """
    priced = {cut.name: cut for cut in scan.cuts if cut.level != "output"}
    worst = [worst for worst in attack.worst if worst.cut in priced] if attack else []
    points = [(w.recovered, priced[w.cut].edge_flops, priced[w.cut].payload_bytes) for w in worst]
    return frozenset(w.cut for w, kept in zip(worst, pareto(points), strict=True) if kept)


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
