"""A page of charts and tables: cuts with and without defences on one scale, and whatever a sweep has to add."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from goldcut.report.charts import ATTACK_COLOURS
from goldcut.report.figures import GREY, Chart, figure, limits, line, note, shares_axis, shorten, text_safe
from goldcut.report.points import MEANS, Match, Point, match_accuracy
from goldcut.report.quantities import MISSING, count, known, percent, plural, share, size
from goldcut.report.shell import fill

COLUMNS = ("cut", "defence", "protects", "accuracy", "recovered", "by", "FLOPs on the device", "payload", "seeds")


@dataclass(frozen=True)
class Line:
    """A row of a table; marked ones stand out."""

    cells: tuple[str, ...]
    marked: bool = False


@dataclass(frozen=True)
class Block:
    """A table with its title; the first `names` columns are text, the others figures."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Line, ...]
    names: int = 1


@dataclass(frozen=True)
class Part:
    """A section of the page."""

    title: str
    charts: tuple[Chart, ...] = ()
    tables: tuple[Block, ...] = ()


def render_points(title: str, points: Sequence[Point], notes: Sequence[str] = (), more: Sequence[Part] = ()) -> str:
    """The page of points as text, a section for each group, then what else there is."""
    groups = list(dict.fromkeys(point.group for point in points))
    matches = match_accuracy(points)
    parts = [
        _part(turn, group, [one for one in points if one.group == group], [m for m in matches if m.group == group])
        for turn, group in enumerate(groups)
    ]
    parts += more
    headline = f"{plural(len(points), 'point')} in {plural(len(groups), 'group')}" if points else "Nothing to compare"
    charts = [chart for part in parts for chart in part.charts]
    return fill("sheet.html", charts, title=title, headline=headline, notes=[*READING, *notes], parts=parts)


READING = (
    "A point is a cut with or without a defence. Recovered is the share of the pixel variance that the strongest "
    "attack got; accuracy is that of the cloud half on what is sent.",
    "Marked rows are not beaten: no other point of the group is at least as good in recovered, accuracy, payload and "
    "FLOPs at once, and better in one. Several seeds are shown as their mean and their range.",
)


def point_cells(point: Point) -> tuple[str, ...]:
    """A point as text, by COLUMNS."""
    return (
        point.cut,
        point.defense,
        point.means,
        percent(point.accuracy),
        share(point.recovered, point.recovered_low, point.recovered_high) + ("" if point.converged else "*"),
        point.attack,
        f"{count(point.edge_flops)} ({percent(point.edge_share)})",
        size(point.payload_bytes),
        str(point.repetitions),
    )


def match_cells(match: Match) -> tuple[str, ...]:
    """What leaks least when so much accuracy is given up, as text: the loss, then a cell for each of MEANS."""
    return (
        "nothing" if match.loss == 0 else f"{100 * match.loss:g} points",
        *(f"{percent(one.recovered)}: {one.cut}, {one.defense}" if one else MISSING for one in match.best),
    )


def _part(turn: int, group: str, points: Sequence[Point], matches: Sequence[Match]) -> Part:
    rows = tuple(Line(point_cells(point), point.unbeaten) for point in points)
    tables = [Block("All points (* some attacks were still improving)", COLUMNS, rows, names=3)]
    if matches:
        lines = tuple(Line(match_cells(match)) for match in matches)
        tables.insert(0, Block("Least recovered when so much accuracy is given up", ("given up", *MEANS), lines, 4))
    charts = [_over_cuts(turn, points)]
    if any(known(point.accuracy) for point in points):
        charts.append(_against_accuracy(turn, points))
    return Part(group, tuple(charts), tuple(tables))


def _colours(points: Sequence[Point]) -> dict[str, str]:
    defenses = sorted({point.defense for point in points} - {"none"})
    return {"none": GREY} | {one: ATTACK_COLOURS[turn % len(ATTACK_COLOURS)] for turn, one in enumerate(defenses)}


def _over_cuts(turn: int, points: Sequence[Point]) -> Chart:
    cuts = [name for _, name in sorted({(point.place, point.cut) for point in points})]
    traces = [
        _curve([point for point in points if point.defense == defense], defense, colour, cuts)
        for defense, colour in _colours(points).items()
        if any(point.defense == defense for point in points)
    ]
    axis = {
        "title": {"text": "cuts, from the input to the output"},
        "tickmode": "array",
        "tickvals": list(range(len(cuts))),
        "ticktext": [text_safe(shorten(cut)) for cut in cuts],
        "tickangle": -50,
        "automargin": True,
    }
    floor = min([0.0, *(point.recovered for point in points)])
    return Chart(
        f"cuts-{turn}",
        "Recovered along the network",
        "Each line is a defence; hollow marks were still improving. Bars are the range over seeds, or 95 % limits.",
        _in_words(points),
        figure(traces, axis, shares_axis("recovered, strongest attack", max(floor, -0.6))),
    )


def _curve(points: Sequence[Point], defense: str, colour: str, cuts: Sequence[str]) -> dict[str, Any]:
    values = [point.recovered for point in points]
    trace = line([cuts.index(point.cut) for point in points], values, defense, colour, notes=list(map(_note, points)))
    lows, highs = [point.recovered_low for point in points], [point.recovered_high for point in points]
    trace["error_y"] = limits(values, lows, highs, colour)
    trace["marker"] = {
        "color": colour,
        "size": 8,
        "symbol": ["circle" if point.converged else "circle-open" for point in points],
    }
    return trace


def _against_accuracy(turn: int, points: Sequence[Point]) -> Chart:
    traces = []
    for defense, colour in _colours(points).items():
        here = [point for point in points if point.defense == defense and known(point.accuracy)]
        if here:
            accuracies = [point.accuracy or 0.0 for point in here]
            trace = line(accuracies, [one.recovered for one in here], defense, colour, notes=list(map(_note, here)))
            trace["mode"] = "markers+text"
            trace["text"] = [text_safe(shorten(one.cut, 14)) if one.unbeaten else "" for one in here]
            trace["textposition"], trace["cliponaxis"] = "bottom left", False
            trace["marker"] = {
                "color": colour,
                "size": 10,
                "symbol": ["diamond" if one.in_zone else "circle" for one in here],
                "opacity": [1.0 if one.unbeaten else 0.45 for one in here],
            }
            traces.append(trace)
    floor = min([0.0, *(point.recovered for point in points)])
    return Chart(
        f"accuracy-{turn}",
        "Recovered against accuracy",
        "Lower and further right is better. Diamonds are cuts in the zone, circles before it; pale marks are beaten.",
        _in_words(points),
        figure(traces, shares_axis("accuracy on what is sent"), shares_axis("recovered, strongest attack", floor)),
    )


def _note(point: Point) -> str:
    return note(
        f"{point.cut}, {point.defense}",
        f"{share(point.recovered, point.recovered_low, point.recovered_high)} recovered by {point.attack}",
        f"accuracy {percent(point.accuracy)}, sends {size(point.payload_bytes)}",
        f"{percent(point.edge_share)} of the FLOPs on the device",
    )


def _in_words(points: Sequence[Point]) -> str:
    return "; ".join(f"{one.cut} {one.defense} {percent(one.recovered)}" for one in points) + "."
