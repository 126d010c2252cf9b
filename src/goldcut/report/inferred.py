"""What Z says of the victims without pixels, as a table and as a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

from goldcut.records import LABEL, AttackRecord, EdgeAttackRecord, Inferred
from goldcut.report.quantities import percent, share

COLUMNS = ("linear probe", "network", "most frequent", "nearest victim alike", "any victim alike")
"""The figures of a row; the third and the fifth are what chance gives."""


@dataclass(frozen=True)
class InferredRow:
    """What is inferred of a target ("class", or an attribute's name) at a cut, in the order of COLUMNS."""

    cut: str
    target: str
    cells: tuple[str, ...]


def inferred_rows(attack: AttackRecord) -> tuple[InferredRow, ...]:
    """A row for each target and cut that was probed, the class first, cuts in the order of the network."""
    rows = []
    for target in _targets(attack):
        for cut in dict.fromkeys(one.cut for one in attack.inferred):
            found = {one.probe: one for one in attack.inferred if (one.cut, one.target) == (cut, target)}
            if found:
                linear, network, nearest = (found.get(probe) for probe in ("linear", "mlp", "retrieval"))
                cells = (_accuracy(linear), _accuracy(network), _chance(linear), _accuracy(nearest), _chance(nearest))
                rows.append(InferredRow(cut, "class" if target == LABEL else target, cells))
    return tuple(rows)


def say_inferred(attack: AttackRecord | EdgeAttackRecord) -> str:
    """A sentence a target, from the cut that says least of it to the one that says most; empty without any."""
    said = [_say([one for one in attack.inferred if one.target == target]) for target in _targets(attack)]
    return f"Without any pixels: {'. '.join(said)}." if said else ""


def _say(figures: Sequence[Inferred]) -> str:
    learned = [one for one in figures if one.probe != "retrieval"]
    found = learned or figures
    best = {one.cut: one for one in sorted(found, key=lambda one: one.accuracy)}.values()
    least, most = (choose(best, key=lambda one: one.accuracy) for choose in (min, max))
    span = f"{percent(least.accuracy)} of the victims at {least.cut}"
    if least.cut != most.cut:
        span += f" and {percent(most.accuracy)} at {most.cut}"
    if most.target == LABEL:
        told = "Z alone tells the class of" if learned else "the nearest other victim by Z is of the same class for"
    elif learned:
        told = f"Z alone tells {most.target!r} of"
    else:
        told = f"the nearest other victim by Z is alike in {most.target!r} for"
    return f"{told} {span}; chance is {percent(most.chance)}"


def attributes_of(attack: AttackRecord | EdgeAttackRecord) -> tuple[str, ...]:
    """What was inferred beside the class, in its order."""
    return tuple(dict.fromkeys(one.target for one in attack.inferred if one.target != LABEL))


def _targets(attack: AttackRecord | EdgeAttackRecord) -> tuple[str, ...]:
    """The class, then attributes."""
    has_class = any(one.target == LABEL for one in attack.inferred)
    return ((LABEL,) if has_class else ()) + attributes_of(attack)


def _accuracy(one: Inferred | None) -> str:
    return share(one.accuracy, one.accuracy_low, one.accuracy_high) if one else share(None)


def _chance(one: Inferred | None) -> str:
    return percent(one.chance if one else None)
