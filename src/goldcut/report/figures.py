"""Parts of plotly figures as plain dicts: lines, limits, axes, the ribbons of the zones.

Every figure over the cuts has them in the order of the network at x = 0, 1, 2, ..., so that a zone lies
at the same place in all of them. Colours are mid-tones that carry on white and on black; the page
sets fonts and grid for its light or dark face.
"""

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, log10
from typing import Any, Literal

from goldcut.records import AttackRecord, CutProfile, PricedCut, ScanRecord, Zone
from goldcut.report.quantities import known

BLUE, ORANGE, GREEN, PURPLE = "#3b7dc4", "#d0702a", "#2e9468", "#9467bd"
RED, TEAL, GREY = "#cf4a5c", "#2892a3", "#7b8794"
BROWN, PINK, OLIVE = "#8f6a3c", "#c0599a", "#7d8a2e"


@dataclass(frozen=True)
class Band:
    """A zone as the charts show it: its title, its colour and the record behind it."""

    title: str
    colour: str
    zone: Zone


@dataclass(frozen=True)
class Chart:
    """One chart of the page.

    Attributes:
        id: Its element on the page.
        title: What it shows.
        caption: How to read it.
        alt: The same in words, for who cannot see it.
        figure: {"data": [...], "layout": {...}} for plotly.
        width: Whether it takes the whole row or half of it.
    """

    id: str
    title: str
    caption: str
    alt: str
    figure: dict[str, Any]
    width: Literal["whole", "half"] = "whole"


def bands(scan: ScanRecord, attack: AttackRecord | None) -> tuple[Band, ...]:
    """The zones of a run that are shown side by side."""
    found = [Band("paper's rule", ORANGE, scan.zone_paper), Band("default rule", BLUE, scan.zone)]
    if attack:
        found.append(Band("post hoc rule", GREEN, attack.zone_post_hoc))
    return tuple(found)


def over_cuts(
    cuts: Sequence[CutProfile], traces: list[dict[str, Any]], shown: Sequence[Band], y: dict[str, Any]
) -> dict[str, Any]:
    """A figure with the cuts along x and the zones as ribbons above it."""
    axis = {
        "title": {"text": "cuts, from the input to the output", "standoff": 10},
        "tickmode": "array",
        "tickvals": list(range(len(cuts))),
        "ticktext": [text_safe(shorten(cut.name)) for cut in cuts],
        "tickangle": -50,
        "range": [-0.6, len(cuts) - 0.4],
        "zeroline": False,
        "automargin": True,
    }
    return figure(traces, axis, y, shapes=_ribbons(shown, {cut.name: place for place, cut in enumerate(cuts)}))


def figure(
    traces: list[dict[str, Any]], x: dict[str, Any], y: dict[str, Any], *, shapes: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """A figure in the common layout: hover only, the legend above."""
    legend = {"orientation": "h", "x": 0, "y": 1.1, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False}
    layout = {
        "margin": {"l": 64, "r": 16, "t": 56 if len(traces) > 1 else 26, "b": 44},
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": len(traces) > 1,
        "legend": legend,
        "shapes": list(shapes),
        "xaxis": {"fixedrange": True, **x},
        "yaxis": {"fixedrange": True, "automargin": True, **y},
    }
    return {"data": traces, "layout": layout}


def line(
    x: Iterable[float],
    y: Sequence[float | None],
    name: str,
    colour: str,
    *,
    notes: Sequence[str],
    dash: str = "solid",
) -> dict[str, Any]:
    """A line with a mark at each value; `notes` is what each mark says when pointed at."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": text_safe(name),
        "x": list(x),
        "y": [value if known(value) else None for value in y],
        "connectgaps": True,
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"color": colour, "size": 6},
        "customdata": list(notes),
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def level(value: float, cuts: int, name: str, colour: str, *, dash: str = "dash") -> dict[str, Any]:
    """A horizontal line over all cuts, such as a baseline or chance."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": text_safe(name),
        "x": [-0.6, cuts - 0.4],
        "y": [value, value],
        "line": {"color": colour, "width": 1.5, "dash": dash},
        "hoverinfo": "name",
    }


def marks(converged: Sequence[bool], colour: str) -> dict[str, Any]:
    """Marks of attacks: hollow where one was still improving when it stopped."""
    return {"color": colour, "size": 8, "symbol": ["circle" if flat else "circle-open" for flat in converged]}


def limits(
    values: Sequence[float | None], lows: Sequence[float | None], highs: Sequence[float | None], colour: str
) -> dict[str, Any]:
    """Error bars from absolute limits; a value without limits gets none."""
    above = [h - v if known(h) and known(v) else None for v, h in zip(values, highs, strict=True)]
    below = [v - low if known(low) and known(v) else None for v, low in zip(values, lows, strict=True)]
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return {**bars, "color": colour, "thickness": 1.3, "width": 3}


def note(name: str, *lines: str) -> str:
    """What a mark says: a cut's full name and a few lines."""
    return "<br>".join([f"<b>{text_safe(name)}</b>", *map(text_safe, lines)])


def edge_flops(cut: PricedCut) -> float:
    """Share of the FLOPs before the cut."""
    return cut.edge_flops / max(1, cut.edge_flops + cut.cloud_flops)


def edge_params(cut: PricedCut) -> float:
    """Share of the parameters before the cut."""
    return cut.edge_params / max(1, cut.edge_params + cut.cloud_params)


def shares_axis(title: str, least: float = 0.0) -> dict[str, Any]:
    """An axis of shares from `least` to 1, as percentages."""
    return {"title": {"text": title}, "range": [least - 0.03, 1.04], "tickformat": ".0%", "dtick": 0.2}


def log_axis(title: str, values: Iterable[float | None], text: Callable[[float], str]) -> dict[str, Any]:
    """A logarithmic axis: ticks at 1, 2, 5 over a short range, closer over a very short one, else at powers of ten."""
    positive = [value for value in values if known(value) and value > 0] or [1.0]
    low, high = floor(log10(min(positive))), floor(log10(max(positive)))
    span = max(positive) / min(positive)
    digits = (1, 1.5, 2, 3, 4, 5, 7) if span < 6 else (1, 2, 5) if span < 300 else (1,)
    ticks = [digit * 10.0**power for power in range(low, high + 2) for digit in digits]
    shown = {"tickmode": "array", "tickvals": ticks, "ticktext": [text(tick) for tick in ticks]}
    margin = 0.06 * max(log10(max(positive) / min(positive)), 0.5)
    limits = [log10(min(positive)) - margin, log10(max(positive)) + margin]
    return {"title": {"text": title}, "type": "log", "range": limits, **shown}


def text_safe(text: str) -> str:
    """Text that plotly shows as it is: plotly reads tags and entities in labels."""
    return html.escape(text, quote=False)


def shorten(name: str, most: int = 22) -> str:
    """A long name with its middle left out, so that its first and last parts stay readable.

    Example:
        >>> shorten("features.denseblock4.denselayer16")
        'features…4.denselayer16'
    """
    head = most // 3 + 1
    return name if len(name) <= most + 1 else f"{name[:head]}…{name[head - most :]}"


def _ribbons(shown: Sequence[Band], place: dict[str, int]) -> list[dict[str, Any]]:
    """A row of ribbons above the plot for each zone, the cuts that the rule itself indicates in full colour.

    The default rule's zone is shaded down to the axis too.
    """
    shapes = []
    for row, band in enumerate(shown):
        top = 6 * (len(shown) - row)
        pixels = {"yref": "paper", "ysizemode": "pixel", "yanchor": 1, "y0": top - 4, "y1": top}
        for first, last in _runs(sorted(place[name] for name in band.zone.cuts if name in place)):
            span = {"type": "rect", "xref": "x", "x0": first - 0.5, "x1": last + 0.5, "line": {"width": 0}}
            shapes.append({**span, **pixels, "fillcolor": band.colour, "opacity": 0.6})
            if band.zone.rule == "default":
                shade = {"yref": "paper", "y0": 0, "y1": 1, "fillcolor": band.colour, "opacity": 0.09, "layer": "below"}
                shapes.append({**span, **shade})
        for name in band.zone.indicated:
            if name in place:
                span = {"type": "rect", "xref": "x", "x0": place[name] - 0.5, "x1": place[name] + 0.5}
                shapes.append({**span, **pixels, "line": {"width": 0}, "fillcolor": band.colour})
    return shapes


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Consecutive places as (first, last).

    Example:
        >>> _runs([2, 3, 4, 7])
        [(2, 4), (7, 7)]
    """
    if not places:
        return []
    breaks = [(before, after) for before, after in pairwise(places) if after > before + 1]
    firsts = [places[0], *(after for _, after in breaks)]
    lasts = [*(before for before, _ in breaks), places[-1]]
    return list(zip(firsts, lasts, strict=True))
