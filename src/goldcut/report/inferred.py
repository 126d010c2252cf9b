"""What Z says of the victims without pixels, as a table and as a sentence."""

from dataclasses import dataclass

from goldcut.records import AttackRecord, Inferred
from goldcut.report.quantities import percent, share

COLUMNS = ("linear probe", "network", "largest class", "nearest victim alike", "any victim alike")
"""The figures of a row; the third and the fifth are what chance gives."""


@dataclass(frozen=True)
class InferredRow:
    """What is inferred at a cut, in the order of COLUMNS."""

    cut: str
    cells: tuple[str, ...]


def inferred_rows(attack: AttackRecord) -> tuple[InferredRow, ...]:
    """A row for each cut that was probed, in the order of the network."""
    rows = []
    for cut in dict.fromkeys(one.cut for one in attack.inferred):
        found = {one.probe: one for one in attack.inferred if one.cut == cut}
        linear, network, nearest = (found.get(probe) for probe in ("linear", "mlp", "retrieval"))
        cells = (_accuracy(linear), _accuracy(network), _chance(linear), _accuracy(nearest), _chance(nearest))
        rows.append(InferredRow(cut, cells))
    return tuple(rows)


def say_inferred(attack: AttackRecord) -> str:
    """From the cut that says least of the class to the one that says most; empty where nothing was inferred."""
    learned = [one for one in attack.inferred if one.probe != "retrieval"]
    found = learned or attack.inferred
    if not found:
        return ""
    best = {one.cut: one for one in sorted(found, key=lambda one: one.accuracy)}.values()
    least, most = (choose(best, key=lambda one: one.accuracy) for choose in (min, max))
    span = f"{percent(least.accuracy)} of the victims at {least.cut}"
    if least.cut != most.cut:
        span += f" and {percent(most.accuracy)} at {most.cut}"
    told = "Z alone tells the class of" if learned else "the nearest other victim by Z is of the same class for"
    return f"Without any pixels: {told} {span}; chance is {percent(most.chance)}."


def _accuracy(one: Inferred | None) -> str:
    return share(one.accuracy, one.accuracy_low, one.accuracy_high) if one else share(None)


def _chance(one: Inferred | None) -> str:
    return percent(one.chance if one else None)
