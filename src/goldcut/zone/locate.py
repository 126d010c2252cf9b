"""The default rule: where the zone is by statistics alone, and which of its cuts to recommend.

Chosen among the statistics of a scan and others by how well each foretells where attacks weaken, leave one target out
(docs/results/zone). It needs no labels.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from goldcut.probe.dependence import IMAGES
from goldcut.probe.profile import Profile
from goldcut.records import PricedCut, Zone

RULE = "default"

STATISTIC = "image_dependence"

THRESHOLD = 0.6
"""Distance correlation of images and Z up to which Z has turned from the image: what fits the attacks on the targets of
docs/results/zone best."""


def locate_zone(profile: Profile) -> Zone:
    """The cuts from which on image_dependence stays at or below THRESHOLD.

    The output is never part of the zone, but must satisfy the rule too: where even the logits depend on the image
    more than that, nothing has turned decision-like.

    Args:
        profile: Rows in the order of the network and, for the confidence, the curves of the folds.
    """
    names = [row.name for row in profile.rows]
    outputs = [row.level == "output" for row in profile.rows]
    known = [row.image_dependence for row in profile.rows]
    if missing := [name for name, value in zip(names, known, strict=True) if value is None]:
        return Zone(rule=RULE, decided=False, reasons=(f"Z does not vary at {', '.join(missing)}.",))
    curve = np.array(known, dtype=np.float64)
    start = first_below(curve, THRESHOLD)
    zone = [name for name, output in zip(names[start:], outputs[start:], strict=True) if not output]
    first = zone[0] if zone else None
    return Zone(
        rule=RULE,
        first=first,
        cuts=tuple(zone),
        reasons=(*_reasons(names, curve, start, first, profile.rows[0].image_dependence_images), _RESERVE),
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


_RESERVE = "A statistic of Z is a pointer, never a proof: a map that loses nothing can change it. An attack decides."


def _reasons(
    names: Sequence[str], curve: Float[ndarray, " cuts"], start: int, first: str | None, images: int
) -> tuple[str, ...]:
    what = "the distance correlation of Z with the image"
    found = []
    if first is None and start == len(names):
        found.append(f"No zone: {what} is {curve[-1]:.2f} at {names[-1]}, above {THRESHOLD:g}.")
    elif first is None:
        found.append(f"No zone: {what} comes to {THRESHOLD:g} only at {names[-1]}, which has nothing to hand over.")
    elif start == 0:
        found.append(f"From the first cut, {first}, on {what} is at most {curve.max():.2f}, not above {THRESHOLD:g}.")
    else:
        found.append(
            f"From {first} on {what} stays at or below {THRESHOLD:g}: it falls from {curve[start - 1]:.2f}"
            f" at {names[start - 1]} to {curve[start]:.2f}."
        )
    if images < IMAGES:
        found.append(f"It comes from {images} images, not {IMAGES}; fewer make it larger, so a zone may be missed.")
    return tuple(found)


def _confidence(profile: Profile, names: Sequence[str], outputs: Sequence[bool], first: str | None) -> float | None:
    if STATISTIC not in profile.folds:
        return None
    starts = [first_below(curve, THRESHOLD) for curve in profile.folds[STATISTIC]]
    found = [names[start] if start < len(names) and not outputs[start] else None for start in starts]
    return sum(each == first for each in found) / len(found)
