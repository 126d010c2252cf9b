"""The charts of the report: records in, plotly figure specs as plain dicts out."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from goldcut.records import AttackRecord, AttackResult, CutProfile, ScanRecord
from goldcut.report.figures import (
    BLUE,
    BROWN,
    GREEN,
    GREY,
    OLIVE,
    ORANGE,
    PINK,
    PURPLE,
    RED,
    TEAL,
    Band,
    Chart,
    edge_flops,
    edge_params,
    level,
    limits,
    line,
    log_axis,
    marks,
    note,
    over_cuts,
    shares_axis,
)
from goldcut.report.quantities import count, known, number, percent, share, size

ATTACK_COLOURS = (BLUE, ORANGE, PURPLE, TEAL, GREEN, BROWN, PINK, OLIVE)
NOISE_STYLES = ((PURPLE, "solid"), (BLUE, "dash"), (TEAL, "dot"), (ORANGE, "dashdot"))


# --- statistics ----------------------------------------------------------------------------------------


def statistics_charts(scan: ScanRecord, shown: Sequence[Band]) -> list[Chart]:
    """Curves over the cuts: shares, radii, effective rank and the gap between the information bounds."""
    cuts = scan.cuts
    shares = [
        _statistic(cuts, "within_share", BLUE, percent),
        _statistic(cuts, "within_share_standardised", PURPLE, percent, dash="dash"),
    ]
    charts = [
        *_dependence_chart(cuts, shown),
        Chart(
            "within-share",
            "Within-class share of the scatter",
            "How much of the spread of Z is left when the class is known: it falls where the representation turns "
            "decision-like. Bars are 95 % jackknife limits.",
            _in_words(cuts, [cut.within_share for cut in cuts], percent),
            over_cuts(cuts, shares, shown, shares_axis("within-class / total scatter")),
        ),
    ]
    texts = (
        ("radius_sq", "Class radius R²", "R², log", "Moves with the scale of Z and with its size."),
        (
            "radius_sq_per_element",
            "Class radius per element",
            "R² / D, log",
            "Free of the size of Z, not of its scale.",
        ),
        ("effective_rank", "Effective rank of Z", "effective rank, log", _rank_caption(cuts)),
    )
    for field, title, label, caption in texts:
        values = [getattr(cut, field) for cut in cuts]
        if any(map(known, values)):
            curve = _statistic(cuts, field, TEAL if field == "effective_rank" else BLUE, number)
            spec = over_cuts(cuts, [curve], shown, log_axis(label, values, number))
            charts.append(Chart(field, title, caption, _in_words(cuts, values, number), spec, "half"))
    return charts + _information_chart(cuts, shown)


def _statistic(
    cuts: Sequence[CutProfile], field: str, colour: str, text: Callable[[float | None], str], dash: str = "solid"
) -> dict[str, Any]:
    values, lows, highs = ([getattr(cut, field + end, None) for cut in cuts] for end in ("", "_low", "_high"))
    notes = [
        note(cut.name, f"{field} {text(value)}" + (f" ({text(low)} to {text(high)})" if known(low) else ""))
        for cut, value, low, high in zip(cuts, values, lows, highs, strict=True)
    ]
    curve = line(range(len(cuts)), values, field, colour, notes=notes, dash=dash)
    curve["error_y"] = limits(values, lows, highs, colour)
    return curve


def _dependence_chart(cuts: Sequence[CutProfile], shown: Sequence[Band]) -> list[Chart]:
    """The curve that the default rule reads; files of before it was measured have none."""
    values = [cut.image_dependence for cut in cuts]
    if not any(known(value) for value in values):
        return []
    images = max(cut.image_dependence_images for cut in cuts)
    curve = _statistic(cuts, "image_dependence", TEAL, number)
    return [
        Chart(
            "image-dependence",
            "Dependence on the image",
            f"Distance correlation of Z with the image, {images} images: 1 where Z keeps their distances. The "
            "default rule reads this curve. Bars are 95 % jackknife limits.",
            _in_words(cuts, values, number),
            over_cuts(cuts, [curve], shown, shares_axis("distance correlation")),
        )
    ]


def _rank_caption(cuts: Sequence[CutProfile]) -> str:
    images = max(cut.effective_rank_images for cut in cuts)
    return f"In how many directions Z varies; {images:,} images, so never above {images - 1:,}." if images else ""


def _information_chart(cuts: Sequence[CutProfile], shown: Sequence[Band]) -> list[Chart]:
    levels = sorted({bound.rho for cut in cuts for bound in cut.information})
    traces = []
    for rho, (colour, dash) in zip(levels, NOISE_STYLES, strict=False):
        gaps = [next((b.relative_gap for b in cut.information if b.rho == rho), None) for cut in cuts]
        notes = [note(cut.name, f"gap {percent(gap)} at ρ = {rho:g}") for cut, gap in zip(cuts, gaps, strict=True)]
        traces.append(line(range(len(cuts)), gaps, f"ρ = {rho:g}", colour, notes=notes, dash=dash))
    if not traces:
        return []
    y = {"title": {"text": "1 − class / global bound"}, "tickformat": ".0%"}
    return [
        Chart(
            "information",
            "Gap between the information bounds",
            "Opens where the class explains more of Z than its total variance says. ρ is the Gaussian noise added to "
            "Z, in units of its root mean variance per element.",
            "The values are in the table of information bounds below.",
            over_cuts(cuts, traces, shown, y),
            "half",
        )
    ]


# --- attacks ---------------------------------------------------------------------------------------------


def recovered_chart(scan: ScanRecord, attack: AttackRecord, shown: Sequence[Band]) -> Chart:
    """Recovered per cut with intervals for each attack, and the baselines as lines."""
    cuts, baselines = scan.cuts, attack.baselines
    traces = _attack_curves(scan, attack, "recovered")
    nearest = [scores.recovered if (scores := baselines.nearest.get(cut.name)) else None for cut in cuts]
    if any(map(known, nearest)):
        notes = [note(cut.name, f"nearest image {percent(v)}") for cut, v in zip(cuts, nearest, strict=True)]
        traces.append(line(range(len(cuts)), nearest, "nearest image", GREY, notes=notes, dash="dot"))
    if baselines.class_mean:
        traces.append(level(baselines.class_mean.recovered, len(cuts), "class mean", RED))
    traces.append(level(0, len(cuts), "mean image", GREY, dash="solid"))
    floor = min(0.0, *(value for trace in traces for value in trace["y"] if known(value)))
    told = [f"{w.cut} {share(w.recovered, w.recovered_low, w.recovered_high)}" for w in attack.worst]
    return Chart(
        "recovered",
        "Recovered share of the pixel variance",
        "100 % is the image itself, 0 the mean image; the class mean is what the predicted label alone gives. Bars are "
        "95 % bootstrap limits over the victims; a hollow mark is an attack that was still improving when it stopped, "
        "so more may leak.",
        f"Strongest attack: {'; '.join(told)}.",
        over_cuts(cuts, traces, shown, shares_axis("recovered", max(floor, -0.6))),
    )


def identification_chart(scan: ScanRecord, attack: AttackRecord, shown: Sequence[Band]) -> Chart | None:
    """Identification per cut for each attack with its chance line; None where it was not measured."""
    traces = _attack_curves(scan, attack, "identification")
    if not traces:
        return None
    traces.append(level(0.05, len(scan.cuts), "chance (1 of 20)", RED))
    told = [f"{r.cut} by {r.attack} {percent(r.identification)}" for r in attack.results if known(r.identification)]
    return Chart(
        "identification",
        "Identification among 20 images of the same predicted class",
        "How often a reconstruction is nearer to its own image than to 19 others that the model puts in the same "
        "class: what leaks beyond the label.",
        f"{'; '.join(told)}.",
        over_cuts(scan.cuts, traces, shown, shares_axis("picked out")),
    )


def _attack_curves(scan: ScanRecord, attack: AttackRecord, field: str) -> list[dict[str, Any]]:
    """A curve for each attack, moved a little to the side so that their limits do not hide each other."""
    names = list(dict.fromkeys(result.attack for result in attack.results))
    place = {cut.name: position for position, cut in enumerate(scan.cuts)}
    traces = []
    for turn, name in enumerate(names):
        results = [r for r in attack.results if r.attack == name and known(getattr(r, field))]
        results.sort(key=lambda result: place[result.cut])
        shift = (turn - (len(names) - 1) / 2) * 0.12
        if results:
            x = [place[result.cut] + shift for result in results]
            traces.append(_attack_curve(results, field, x, ATTACK_COLOURS[turn % len(ATTACK_COLOURS)]))
    return traces


def _attack_curve(results: Sequence[AttackResult], field: str, x: Sequence[float], colour: str) -> dict[str, Any]:
    values, lows, highs = ([getattr(r, field + end) for r in results] for end in ("", "_low", "_high"))
    notes = [
        note(r.cut, f"{r.attack}: {field} {share(v, low, high)}", *([] if r.converged else ["still improving"]))
        for r, v, low, high in zip(results, values, lows, highs, strict=True)
    ]
    curve = line(x, values, results[0].attack, colour, notes=notes)
    curve["error_y"] = limits(values, lows, highs, colour)
    curve["marker"] = marks([result.converged for result in results], colour)
    return curve


# --- cost ------------------------------------------------------------------------------------------------


def cost_charts(scan: ScanRecord, shown: Sequence[Band]) -> list[Chart]:
    """What a cut costs along the network: work and parameters on the device, bytes on the wire."""
    cuts, image = scan.cuts, prod(scan.model.input_shape)
    flops, params = [edge_flops(cut) for cut in cuts], [edge_params(cut) for cut in cuts]
    payloads = [cut.payload_bytes for cut in cuts]
    notes = [
        note(
            cut.name,
            f"{percent(f)} of the FLOPs ({count(cut.edge_flops)})",
            f"{percent(p)} of the parameters ({count(cut.edge_params)})",
        )
        for cut, f, p in zip(cuts, flops, params, strict=True)
    ]
    work = [
        line(range(len(cuts)), flops, "FLOPs", BLUE, notes=notes),
        line(range(len(cuts)), params, "parameters", ORANGE, notes=notes, dash="dash"),
    ]
    wire = [
        line(range(len(cuts)), payloads, "Z", TEAL, notes=[note(cut.name, size(cut.payload_bytes)) for cut in cuts]),
        level(image, len(cuts), "the 8-bit image", RED),
    ]
    return [
        Chart(
            "device-share",
            "Work and parameters on the device",
            "Share of the whole network that runs before the cut.",
            _in_words(cuts, flops, percent),
            over_cuts(cuts, work, shown, shares_axis("on the device")),
            "half",
        ),
        Chart(
            "payload",
            "Payload of one image",
            "Z as 32-bit floats, without an envelope.",
            _in_words(cuts, payloads, size),
            over_cuts(cuts, wire, shown, log_axis("bytes, log", [*payloads, image], size)),
            "half",
        ),
    ]


def _in_words(cuts: Sequence[CutProfile], values: Sequence[float | None], text: Callable[[float | None], str]) -> str:
    return "; ".join(f"{cut.name} {text(value)}" for cut, value in zip(cuts, values, strict=True)) + "."
