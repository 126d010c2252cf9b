"""The paper's rule: the largest relative drops of R_c^2 over the candidate cuts.

R. Liu et al., "Partitioning for Intrinsic Model Inversion Resistance in Collaborative Inference" (ICML 2026)
and the authors' script "active identification.py". R_c^2 grows with the scale and the size of Z, so the
rule depends on both and on which cuts are candidates; it is here to be compared with.
"""

from collections.abc import Sequence

from goldcut.records import Zone
from goldcut.zone.drops import relative_drops

RULE = "paper"

SIGNIFICANT = 0.2
"""A drop from here on, between the two largest, makes the rule return both."""


def paper_zone(curve: Sequence[float | None], names: Sequence[str]) -> Zone:
    """The paper's rule over a curve of R_c^2.

    The largest relative drop gives the first index, the second largest the second; when all drops
    strictly between them are below 0.2 only the first is returned. An index is the cut after the drop.
    The zone is said to start at the first index, the larger drop: the rule always returns it, and where
    the second lies before it, the later start promises less.

    Args:
        curve: R_c^2 of each candidate cut, in the order of the network, the output left out.
        names: Their names.

    Example:
        >>> paper_zone([10.0, 9.0, 3.0, 2.9], ["a", "b", "c", "d"]).cuts
        ('c', 'd')
    """
    indices, reasons = find_indices(curve, names)
    if not indices:
        return Zone(rule=RULE, decided=False, reasons=reasons)
    return Zone(
        rule=RULE,
        first=names[indices[0]],
        cuts=tuple(names[indices[0] :]),
        indicated=tuple(names[index] for index in indices),
        reasons=reasons,
    )


def find_indices(curve: Sequence[float | None], names: Sequence[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The one or two indices of the rule, and why; none where it cannot be applied."""
    known = [value for value in curve if value is not None]
    if len(known) < len(curve):
        missing = ", ".join(name for name, value in zip(names, curve, strict=True) if value is None)
        return (), (f"R_c² by the model's own predictions is not known at {missing}.",)
    drops = relative_drops(known)
    if not drops:
        return (), ("The rule compares neighbouring cuts and needs at least two.",)
    ranked = sorted(range(len(drops)), key=lambda step: -drops[step])
    first = ranked[0]
    reasons = [f"The largest relative drop of R_c² is {drops[first]:.0%}, at {names[first + 1]}."]
    if drops[first] <= 0:
        reasons.append("R_c² falls nowhere; the rule points at the smallest rise all the same.")
    if len(ranked) == 1:
        return (first + 1,), tuple(reasons)
    second = ranked[1]
    between = drops[min(first, second) + 1 : max(first, second)]
    step = f"The second largest, {drops[second]:.0%} at {names[second + 1]},"
    if all(drop < SIGNIFICANT for drop in between):
        reasons.append(f"{step} is not counted: no drop of {SIGNIFICANT:.0%} lies between them.")
        return (first + 1,), tuple(reasons)
    reasons.append(f"{step} is indicated too: a drop of {max(between):.0%} lies between them.")
    return (first + 1, second + 1), tuple(reasons)
