"""Table (f): what the zone costs the device: parameters, memory, latency and payload of the full networks.

Nothing is trained, so the published networks are priced at every scale.
"""

from goldcut.records import CutsRecord, PricedCut
from goldcut.reproduce.judge import Figure, judge
from goldcut.reproduce.scale import FULL, Scale
from goldcut.reproduce.steps import Price, Step
from goldcut.reproduce.table import Answer, Results


def priced(name: str) -> Price:
    """The candidates of a published network."""
    return Price(FULL[name].spec, FULL[name].candidates)


def plan(scale: Scale) -> tuple[Step, ...]:
    """One step a network."""
    return tuple(priced(name) for name in FULL)


def answer(scale: Scale, results: Results) -> Answer:
    """A row for each candidate of each network."""
    rows = tuple(
        {
            "network": record.model.spec,
            "cut": cut.name,
            "edge_params": cut.edge_params,
            "edge_params_percent": _percent(record, cut),
            "edge_flops_percent": 100 * cut.edge_flops / (cut.edge_flops + cut.cloud_flops),
            "edge_seconds": cut.edge_seconds,
            "edge_peak_bytes": cut.edge_peak_bytes,
            "payload_bytes": cut.payload_bytes,
        }
        for name in FULL
        if (record := results.get(priced(name))) is not None
        for cut in record.cuts
    )
    vgg, ir = results.get(priced("vgg19")), results.get(priced("ir152"))
    decision, block = FULL["vgg19"].decision, "body.47"
    before, after = "features.25", "features.29"
    pair = f"goldcut:vgg19, {before} and {after}"
    claims = (
        judge("vgg-parameters", f"goldcut:vgg19, {decision}", _share(vgg, decision), difference=""),
        judge("ir-parameters", f"goldcut:ir152, {block}", _share(ir, block), difference=""),
        judge("vgg-payload", pair, _quotient(vgg, after, before, "payload_bytes"), difference=""),
        judge(
            "vgg-latency",
            pair,
            _quotient(vgg, after, before, "edge_seconds"),
            difference="timed on another machine",
            doubt="" if _steady(vgg) else "deeper edges were timed as faster than shallower ones: the machine was busy",
        ),
    )
    return Answer(rows, claims)


def _cut(record: CutsRecord, name: str) -> PricedCut:
    return next(cut for cut in record.cuts if name in (cut.name, *cut.aliases))


def _steady(record: CutsRecord | None) -> bool:
    """Whether the time of the edge grows from cut to cut, as it must: an edge holds all edges before it."""
    seconds = [cut.edge_seconds for cut in record.cuts if cut.edge_seconds is not None] if record is not None else []
    return seconds == sorted(seconds)


def _percent(record: CutsRecord, cut: PricedCut) -> float:
    """Parameters of the edge over all, in per cent; the last row is the whole network."""
    return 100 * cut.edge_params / record.cuts[-1].edge_params


def _share(record: CutsRecord | None, name: str) -> Figure | None:
    return Figure.exact(_percent(record, _cut(record, name))) if record is not None else None


def _quotient(record: CutsRecord | None, above: str, below: str, field: str) -> Figure | None:
    if record is None:
        return None
    over, under = (getattr(_cut(record, name), field) for name in (above, below))
    return Figure.exact(over / under) if over is not None and under else None
