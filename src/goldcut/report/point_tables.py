"""Points and what leaks least at matched accuracy, for a terminal."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldcut.report.points import MEANS, Match, Point
from goldcut.report.quantities import plural
from goldcut.report.sheet import match_cells, point_cells

MOST_ROWS = 40
"""Rows up to which all points of a group are shown; beyond that those that are not beaten."""

SHOWN = ("cut", "defence", "accuracy", "recovered", "FLOPs", "payload")


def print_points(points: Sequence[Point], matches: Sequence[Match], console: Console | None = None) -> None:
    """Each group of points, then what leaks least with each means at matched accuracy."""
    console = console or Console()
    for group in dict.fromkeys(point.group for point in points):
        here = [point for point in points if point.group == group]
        console.print(_points_table(group, here))
        if matched := [match for match in matches if match.group == group]:
            console.print(_matches_table(matched))
    if points:
        legend = "bold: not beaten in recovered, accuracy, payload and FLOPs at once; * still improving"
        console.print(Text(legend, style="dim"))


def _points_table(group: str, points: Sequence[Point]) -> Table:
    shown = points if len(points) <= MOST_ROWS else [point for point in points if point.unbeaten]
    left = f"; {plural(len(points) - len(shown), 'beaten point')} on the page" if len(shown) < len(points) else ""
    table = _table(group + left)
    for turn, title in enumerate(SHOWN):
        table.add_column(title, justify="left" if turn < 2 else "right", no_wrap=turn > 1, overflow="fold")
    for point in shown:
        cut, defense, _, accuracy, recovered, _, flops, payload, _ = map(Text, point_cells(point))
        table.add_row(cut, defense, accuracy, recovered, flops, payload, style="bold" if point.unbeaten else "")
    return table


def _matches_table(matches: Sequence[Match]) -> Table:
    table = _table("least recovered when so much accuracy is given up")
    for title in ("given up", *MEANS):
        table.add_column(title, overflow="fold")
    for match in matches:
        table.add_row(*map(Text, match_cells(match)))
    return table


def _table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
