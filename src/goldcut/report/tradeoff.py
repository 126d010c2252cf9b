"""Charts of leakage against cost, with the cuts that no other cut beats."""

from collections.abc import Callable, Mapping, Sequence
from math import log10
from typing import Any

from goldcut.cost.link import Link, transfer_seconds
from goldcut.records import AttackRecord, CutProfile, ScanRecord
from goldcut.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    TEAL,
    Chart,
    edge_flops,
    edge_params,
    figure,
    line,
    log_axis,
    note,
    shares_axis,
    shorten,
    text_safe,
)
from goldcut.report.pareto import pareto
from goldcut.report.quantities import percent, seconds, size

LINK_COLOURS = (BLUE, ORANGE, PURPLE, TEAL, GREEN)

Price = Callable[[CutProfile], float]


def tradeoff_charts(scan: ScanRecord, attack: AttackRecord, links: Sequence[Link]) -> list[Chart]:
    """Recovered by the strongest attack against each cost."""
    recovered = {worst.cut: worst.recovered for worst in attack.worst}
    cuts = [cut for cut in scan.cuts if cut.name in recovered]
    payloads, chosen = [cut.payload_bytes for cut in cuts], scan.recommended
    return [
        _tradeoff(cuts, recovered, chosen, "edge FLOPs", shares_axis("FLOPs on the device"), edge_flops),
        _tradeoff(cuts, recovered, chosen, "edge parameters", shares_axis("parameters on the device"), edge_params),
        _tradeoff(
            cuts, recovered, chosen, "payload", log_axis("bytes, log", payloads, size), lambda cut: cut.payload_bytes
        ),
        _times(cuts, recovered, links),
    ]


def _tradeoff(
    cuts: Sequence[CutProfile],
    recovered: Mapping[str, float],
    recommended: str | None,
    name: str,
    x: dict[str, Any],
    price: Price,
) -> Chart:
    inner = [cut for cut in cuts if cut.level != "output"]
    best = _unbeaten(inner, recovered, price)
    beaten = [cut for cut in inner if cut not in best]
    output = [cut for cut in cuts if cut.level == "output"]
    ranked = sorted([*reversed(best), *reversed(beaten)], key=lambda cut: cut.name != recommended)
    labels = _labels(cuts, ranked, recovered, price, logarithmic=x.get("type") == "log")
    traces = []
    for label, group, colour, symbol in (
        ("beaten by another cut", beaten, GREY, "circle-open"),
        ("not beaten", best, BLUE, "circle"),
        ("output, never recommended", output, GREY, "x-thin-open"),
    ):
        if group:
            trace = _marks(group, recovered, price, label, colour, symbol)
            trace["mode"] = "lines+markers+text" if group is best else "markers+text"
            trace["text"], trace["textposition"] = zip(
                *(labels.get(cut.name, ("", "bottom left")) for cut in group), strict=True
            )
            traces.append(trace)
    spec = figure(traces, x, _leakage_axis(recovered))
    return Chart(
        f"tradeoff-{name.replace(' ', '-')}",
        f"Leakage against {name}",
        "Lower and further left is better.",
        f"Not beaten: {'; '.join(f'{cut.name} {percent(recovered[cut.name])}' for cut in best)}.",
        spec,
        "half",
    )


def _times(cuts: Sequence[CutProfile], recovered: Mapping[str, float], links: Sequence[Link]) -> Chart:
    inner = [cut for cut in cuts if cut.level != "output"]
    times = [transfer_seconds(cut.payload_bytes, link) for cut in inner for link in links]
    traces = []
    for link, colour in zip(links, LINK_COLOURS, strict=False):

        def price(cut: CutProfile, link: Link = link) -> float:
            return transfer_seconds(cut.payload_bytes, link)

        best = _unbeaten(inner, recovered, price)
        trace = _marks(inner, recovered, price, link.name, colour, "circle")
        trace["mode"] = "markers"
        trace["marker"]["symbol"] = ["circle" if cut in best else "circle-open" for cut in inner]
        trace["customdata"] = [
            note(cut.name, f"{percent(recovered[cut.name])} recovered", f"{seconds(price(cut))} by {link.name}")
            for cut in inner
        ]
        traces.append(trace)
    return Chart(
        "tradeoff-time",
        "Leakage against time on a link",
        "Transfer of one image's Z, computing left out; the links are assumed. Full marks are not beaten on that link.",
        "The times are in the table of all cuts.",
        figure(traces, log_axis("time, log", times, seconds), _leakage_axis(recovered)),
        "half",
    )


def _marks(
    cuts: Sequence[CutProfile], recovered: Mapping[str, float], price: Price, name: str, colour: str, symbol: str
) -> dict[str, Any]:
    values = [recovered[cut.name] for cut in cuts]
    notes = [
        note(c.name, f"{percent(v)} recovered", f"sends {size(c.payload_bytes)}")
        for c, v in zip(cuts, values, strict=True)
    ]
    marks = line(map(price, cuts), values, name, colour, notes=notes)
    marks["marker"] = {"color": colour, "symbol": symbol, "size": 9, "line": {"width": 1.5}}
    marks["line"] = {"color": colour, "shape": "hv", "width": 1, "dash": "dot"}
    return {**marks, "cliponaxis": False, "textfont": {"size": 11}}


def _unbeaten(cuts: Sequence[CutProfile], recovered: Mapping[str, float], price: Price) -> list[CutProfile]:
    marks = pareto([(price(cut), recovered[cut.name]) for cut in cuts])
    return sorted((cut for cut, kept in zip(cuts, marks, strict=True) if kept), key=price)


def _labels(
    cuts: Sequence[CutProfile],
    ranked: Sequence[CutProfile],
    recovered: Mapping[str, float],
    price: Price,
    *,
    logarithmic: bool,
) -> dict[str, tuple[str, str]]:
    """Names beside the marks, and where: the first in rank get theirs, who would cover a mark or a name goes without.

    They stand below the marks, where the line through the unbeaten cuts seldom runs.
    """
    across = {cut.name: log10(max(price(cut), 1e-12)) if logarithmic else price(cut) for cut in cuts}
    if logarithmic:
        low, high = min(across.values()), max(across.values())
        across = {name: (value - low) / ((high - low) or 1) for name, value in across.items()}
    marks = [(x - 0.02, x + 0.02, recovered[name] - 0.03, recovered[name] + 0.03) for name, x in across.items()]
    taken, labels = list(marks), {}
    for cut in ranked:
        x, y, text = across[cut.name], recovered[cut.name], shorten(cut.name, 16)
        width = 0.05 + 0.019 * len(text)
        for side, left in (("left", x - width), ("right", x + 0.03)):
            box = (left, left + width - 0.03, y - 0.09, y - 0.031)
            if box[0] >= -0.04 and box[1] <= 1.04 and not any(_overlap(box, other) for other in taken):
                labels[cut.name] = (text_safe(text), f"bottom {side}")
                taken.append(box)
                break
    return labels


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _leakage_axis(recovered: Mapping[str, float]) -> dict[str, Any]:
    return shares_axis("recovered, strongest attack", min([0.0, *recovered.values()]))
