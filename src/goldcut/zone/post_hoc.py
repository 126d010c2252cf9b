"""The zone as attacks find it: the judge of the rules that look at statistics alone."""

from collections.abc import Sequence

from goldcut.records import Zone

NAMES = {0.5: "post_hoc_half", 0.25: "post_hoc_quarter"}


def post_hoc_level(first: float, class_mean: float, share: float = 0.5) -> float:
    """The most that may be recovered in the zone: m + share (r_1 - m), r_1 at the first cut, m by the class mean.

    Example:
        >>> post_hoc_level(0.9, 0.1)
        0.5
    """
    return class_mean + share * (first - class_mean)


def post_hoc_zone(
    worst_recovered: Sequence[float | None],
    class_mean_recovered: float | None,
    converged: Sequence[bool],
    names: Sequence[str],
    share: float = 0.5,
) -> Zone:
    """The first cut from which on r_k - m <= share (r_1 - m), r_k the worst `recovered`, m the class mean's.

    Not decided when a figure is missing that could change the answer: the first cut's, the class mean's,
    one without convergence from the zone on (it is only a lower bound), or one not attacked just before it.
    Without convergence at the first cut its figure lies between what was measured and 1; where both give the
    same zone it is decided all the same.

    Args:
        worst_recovered: `recovered` of the worst attack at each cut, in the order of the network; None
            where the cut was not attacked.
        class_mean_recovered: `recovered` of the class-mean image.
        converged: Whether the attack at each cut had converged.
        names: Names of the cuts. "output" may be among them; it is never part of the zone.
        share: How much of the first cut's lead over the class mean may be left.

    Example:
        >>> post_hoc_zone([0.9, 0.8, 0.3], 0.1, [True] * 3, ["a", "b", "c"]).cuts
        ('c',)
    """
    rule = NAMES.get(share, f"post_hoc_{share:g}")
    missing = _missing(worst_recovered, class_mean_recovered, names)
    if missing or class_mean_recovered is None or worst_recovered[0] is None:
        return Zone(rule=rule, decided=False, reasons=(missing,))
    level = post_hoc_level(worst_recovered[0], class_mean_recovered, share)
    bar = (
        f"the level is {level:.2f}: {share:g} of the lead of {names[0]} ({worst_recovered[0]:.2f}) over the class mean"
        f" ({class_mean_recovered:.2f})"
    )
    start = _start(worst_recovered, level)
    if not converged[0] and start != _start(worst_recovered, post_hoc_level(1.0, class_mean_recovered, share)):
        doubt = (
            f"Not decided: the attack at the first cut, {names[0]}, had not converged, and a better one moves the level"
        )
        return Zone(rule=rule, decided=False, reasons=(f"{doubt}; {bar}.",))
    later = range(start, len(names))
    measured = [k for k in later if worst_recovered[k] is not None]
    if not measured:
        last = start - 1
        return Zone(rule=rule, decided=last == len(names) - 1, reasons=(_never(names, worst_recovered, last, bar),))
    first = measured[0]
    unsure = [names[k] for k in measured if not converged[k]]
    skipped = [names[k] for k in later if k < first]
    if unsure or skipped:
        doubts = [f"the attack at {', '.join(unsure)} had not converged"] if unsure else []
        doubts += [f"{', '.join(skipped)} was not attacked"] if skipped else []
        return Zone(rule=rule, decided=False, reasons=(f"Not decided: {' and '.join(doubts)}; {bar}.",))
    inside = tuple(name for name in names[first:] if name != "output")
    if not inside:
        return Zone(rule=rule, reasons=(f"No zone: only the output comes down to it; {bar}.",))
    reasons = [f"From {inside[0]} on the worst attack recovers at most the level; {bar}."]
    unattacked = [names[k] for k in later if worst_recovered[k] is None]
    if unattacked:
        reasons.append(
            f"Not attacked: {', '.join(unattacked)}; Z there is a function of Z at {names[first]} and tells no more."
        )
    return Zone(rule=rule, first=inside[0], cuts=inside, reasons=tuple(reasons))


def _start(worst: Sequence[float | None], level: float) -> int:
    """Index behind the last cut that is known to be above a level."""
    return max((k + 1 for k, recovered in enumerate(worst) if recovered is not None and recovered > level), default=0)


def _missing(worst: Sequence[float | None], class_mean: float | None, names: Sequence[str]) -> str:
    """Why the level itself is not known; empty when it is."""
    if not names or worst[0] is None:
        return f"Not decided: the first cut{f', {names[0]},' if names else ''} was not attacked."
    if class_mean is None:
        return "Not decided: the class mean's `recovered` is not known."
    if worst[0] <= class_mean:
        return (
            f"Not decided: at the first cut, {names[0]}, the attack recovers {worst[0]:.2f}, no more than the"
            f" class mean ({class_mean:.2f}), so there is no lead to fall from."
        )
    return ""


def _never(names: Sequence[str], worst: Sequence[float | None], last: int, bar: str) -> str:
    if last == len(names) - 1:
        return f"No zone: the worst attack still recovers {worst[last]:.2f} at {names[last]}; {bar}."
    return f"Not decided: {', '.join(names[last + 1 :])} was not attacked; {bar}."
