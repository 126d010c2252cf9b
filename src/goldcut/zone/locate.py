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

SCARCE = 0.95
"""A chance level below this, from fewer than 20 images a class, is said in the reasons."""


def locate_zone(profile: Profile) -> Zone:
    """The cuts from which on within_share_standardised stays at or below THRESHOLD of its chance level.

    The chance level is what a Z that knows nothing of the classes would have: 1 for many images a
    class, 1/2 for two. The output is never part of the zone, but must satisfy the rule too: where even
    the logits vary more within classes than between them, nothing has turned decision-like.

    Args:
        profile: Rows in the order of the network and, for the confidence, the curves of the folds.
    """
    names = [row.name for row in profile.rows]
    outputs = [row.level == "output" for row in profile.rows]
    curve = np.array([row.within_share_standardised for row in profile.rows])
    chance = profile.chance_share[0]
    start = first_below(curve, THRESHOLD * chance)
    zone = [name for name, output in zip(names[start:], outputs[start:], strict=True) if not output]
    first = zone[0] if zone else None
    return Zone(
        rule=RULE,
        first=first,
        cuts=tuple(zone),
        reasons=(*_reasons(names, curve, start, first, chance), _RESERVE),
        confidence=_confidence(profile, names, outputs, first),
    )


def first_below(curve: Float[ndarray, " cuts"], threshold: float) -> int:
    """Index from which on a curve stays at or below a threshold; its length when it ends above.

    Example:
        >>> first_below(np.array([0.9, 0.5, 0.7, 0.6, 0.2]), 0.6)
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


def _reasons(
    names: Sequence[str], curve: Float[ndarray, " cuts"], start: int, first: str | None, chance: float
) -> tuple[str, ...]:
    share = "the within-class share of the variance (per channel)"
    bar = f"{THRESHOLD * chance:.2f}"
    found = []
    if first is None and start == len(names):
        found.append(f"No zone: {share} is {curve[-1]:.2f} at {names[-1]}, above {bar}.")
    elif first is None:
        found.append(f"No zone: {share} comes to {bar} or below only at {names[-1]}, which has nothing to hand over.")
    elif start == 0:
        found.append(f"From the first cut, {first}, on {share} is at most {curve.max():.2f}, not above {bar}.")
    else:
        found.append(
            f"From {first} on {share} stays at or below {bar}: it falls from {curve[start - 1]:.2f}"
            f" at {names[start - 1]} to {curve[start]:.2f}."
        )
    if chance < SCARCE:
        found.append(
            f"With so few images a class the share is {chance:.2f} even where Z knows nothing of the classes;"
            f" {THRESHOLD} of that is asked for."
        )
    return tuple(found)


def _confidence(profile: Profile, names: Sequence[str], outputs: Sequence[bool], first: str | None) -> float | None:
    if STATISTIC not in profile.folds:
        return None
    pairs = zip(profile.folds[STATISTIC], profile.chance_share[1:], strict=True)
    starts = [first_below(curve, THRESHOLD * chance) for curve, chance in pairs]
    found = [names[start] if start < len(names) and not outputs[start] else None for start in starts]
    return sum(each == first for each in found) / len(found)
