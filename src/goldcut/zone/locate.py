"""The default rule: where the zone is by statistics alone, and which of its cuts to recommend.

Provisional: its threshold comes from two CIFAR-10 networks and has not been judged on others yet.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from goldcut.probe.profile import Profile
from goldcut.records import PricedCut, Zone

RULE = "default"

STATISTIC = "within_share_standardised"

THRESHOLD = 0.6
"""From where on most of what varies in Z is the class. First measurements, both CIFAR-10: on a ResNet-20
within_share passes from .67 to .35 where `recovered` by attack passes from .63 to .28; on a quarter-width
VGG16-BN .60, .51, .44 go with .45, .37, .31. Provisional until more networks have been attacked."""


def locate_zone(profile: Profile) -> Zone:
    """The cuts from which on within_share_standardised stays at or below THRESHOLD.

    The output is never part of the zone, but must satisfy the rule too: where even the logits vary more
    within classes than between them, nothing has turned decision-like.

    Args:
        profile: Rows in the order of the network and, for the confidence, the curves of the folds.
    """
    names = [row.name for row in profile.rows]
    outputs = [row.level == "output" for row in profile.rows]
    curve = np.array([row.within_share_standardised for row in profile.rows])
    start = first_below(curve)
    zone = [name for name, output in zip(names[start:], outputs[start:], strict=True) if not output]
    first = zone[0] if zone else None
    reasons = (*_reasons(names, curve, start, first), _RESERVE)
    return Zone(
        rule=RULE,
        first=first,
        cuts=tuple(zone),
        reasons=reasons,
        confidence=_confidence(profile, names, outputs, first),
    )


def first_below(curve: Float[ndarray, " cuts"], threshold: float = THRESHOLD) -> int:
    """Index from which on a curve stays at or below a threshold; its length when it ends above.

    Example:
        >>> first_below(np.array([0.9, 0.5, 0.7, 0.6, 0.2]))
        3
    """
    above = np.flatnonzero(~(curve <= threshold))
    return int(above[-1]) + 1 if len(above) else 0


def recommend(zone: Zone, rows: Sequence[PricedCut]) -> str | None:
    """The zone's cut with the fewest edge FLOPs (ties: the smaller payload, then the earlier); None without a zone."""
    inside = [row for row in rows if row.name in zone.cuts]
    cheapest = min(inside, key=lambda row: (row.edge_flops, row.payload_bytes), default=None)
    return cheapest.name if cheapest else None


_RESERVE = (
    "The rule is provisional and a statistic of Z is a pointer, never a proof: a map that loses nothing can change it."
    " An attack decides."
)


def _reasons(names: Sequence[str], curve: Float[ndarray, " cuts"], start: int, first: str | None) -> tuple[str, ...]:
    share = "the within-class share of the variance (per channel)"
    if first is None and start == len(names):
        return (f"No zone: {share} is {curve[-1]:.2f} at {names[-1]}, above {THRESHOLD}.",)
    if first is None:
        return (f"No zone: {share} comes to {THRESHOLD} or below only at {names[-1]}, which has nothing to hand over.",)
    if start == 0:
        return (f"From the first cut, {first}, on {share} is at most {curve.max():.2f}, not above {THRESHOLD}.",)
    return (
        f"From {first} on {share} stays at or below {THRESHOLD}: it falls from {curve[start - 1]:.2f}"
        f" at {names[start - 1]} to {curve[start]:.2f}.",
    )


def _confidence(profile: Profile, names: Sequence[str], outputs: Sequence[bool], first: str | None) -> float | None:
    if STATISTIC not in profile.folds:
        return None
    starts = [first_below(curve) for curve in profile.folds[STATISTIC]]
    found = [names[start] if start < len(names) and not outputs[start] else None for start in starts]
    return sum(each == first for each in found) / len(found)
