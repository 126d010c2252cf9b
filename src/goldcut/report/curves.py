"""Charts of the attacker along its axes: what it knows, how many images it has, how often it sees an image."""

from collections.abc import Sequence

from goldcut.records import AttackRecord, ScanRecord, SweepPoint
from goldcut.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    TEAL,
    Band,
    Chart,
    figure,
    limits,
    line,
    log_axis,
    marks,
    note,
    over_cuts,
    shares_axis,
)
from goldcut.report.quantities import count, percent, share
from goldcut.report.words import KNOWLEDGE

COLOURS = (BLUE, ORANGE, PURPLE, TEAL, GREEN, RED, GREY)


def attacker_charts(scan: ScanRecord, attack: AttackRecord, shown: Sequence[Band]) -> list[Chart]:
    """A chart for each axis along which more than one attacker was tried."""
    charts = [
        _knowledge(scan, attack, shown),
        _swept(scan, attack, "training_images", "images", "What more images bring", "images to learn from"),
        _swept(scan, attack, "queries", "queries", "What repeated queries bring", "passes of each image"),
    ]
    return [chart for chart in charts if chart is not None]


def _knowledge(scan: ScanRecord, attack: AttackRecord, shown: Sequence[Band]) -> Chart | None:
    levels = attack.worst_by_knowledge
    if len(levels) < 2:
        return None
    place = {cut.name: position for position, cut in enumerate(scan.cuts)}
    traces, told = [], []
    for colour, (level, worst) in zip(COLOURS, levels.items(), strict=False):
        notes = [note(one.cut, f"{level}: {percent(one.recovered)} with {one.attack}") for one in worst]
        values = [one.recovered for one in worst]
        traces.append(line([place[one.cut] for one in worst], values, level, colour, notes=notes))
        told.append(f"{level}: {', '.join(f'{one.cut} {percent(one.recovered)}' for one in worst)}")
    said = " ".join(f"{level.capitalize()}: {KNOWLEDGE[level][0].lower()}{KNOWLEDGE[level][1:]}" for level in levels)
    return Chart(
        "knowledge",
        "What it takes to know",
        f"The strongest attack of those that each attacker can carry out. {said}",
        f"{'; '.join(told)}.",
        over_cuts(scan.cuts, traces, shown, shares_axis("recovered")),
    )


def _swept(scan: ScanRecord, attack: AttackRecord, field: str, name: str, title: str, axis: str) -> Chart | None:
    other = "queries" if field == "training_images" else "training_images"
    most = max((getattr(one, other) for one in attack.sweep), default=0)
    points = [one for one in attack.sweep if getattr(one, other) == most]
    values = sorted({getattr(one, field) for one in points})
    if len(values) < 2:
        return None
    attacked = [cut.name for cut in scan.cuts if any(one.cut == cut.name for one in points)]
    traces = []
    for turn, cut in enumerate(attacked):
        here = sorted((one for one in points if one.cut == cut), key=lambda one: getattr(one, field))
        traces.append(_curve(here, field, name, COLOURS[turn % len(COLOURS)]))
    told = [f"{one.cut} with {getattr(one, field):,} {name} {percent(one.recovered)}" for one in points]
    return Chart(
        f"sweep-{name}",
        title,
        "The strongest attack at each cut; all points of a curve have the same mean image as their zero. A hollow mark "
        "is an attack that was still improving.",
        f"{'; '.join(told)}.",
        figure(traces, log_axis(f"{axis}, log", values, count), shares_axis("recovered")),
        "half",
    )


def _curve(points: Sequence[SweepPoint], field: str, name: str, colour: str) -> dict[str, object]:
    notes = [
        note(
            one.cut,
            f"{getattr(one, field):,} {name}: {share(one.recovered, one.recovered_low, one.recovered_high)}",
            f"with {one.attack}",
        )
        for one in points
    ]
    values = [one.recovered for one in points]
    curve = line([getattr(one, field) for one in points], values, points[0].cut, colour, notes=notes)
    lows, highs = [one.recovered_low for one in points], [one.recovered_high for one in points]
    curve["error_y"] = limits(values, lows, highs, colour)
    curve["marker"] = marks([one.converged for one in points], colour)
    return curve
