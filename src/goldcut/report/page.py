"""The report of a run: the verdict first, then the curves over the cuts, the pictures, the prices and the grounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from goldcut import records
from goldcut.cost.link import LINKS, Link
from goldcut.errors import RunError
from goldcut.records import AttackRecord, PromiseRecord, ScanRecord
from goldcut.report import charts, figure_tables, inferred, promised, tables, words, zone_table
from goldcut.report.case import Standing
from goldcut.report.curves import attacker_charts
from goldcut.report.figures import Band, Chart, bands, edge_flops
from goldcut.report.folder import read_promise, read_run
from goldcut.report.gallery import Strip, read_gallery
from goldcut.report.quantities import count, interval, known, percent, size
from goldcut.report.shell import fill
from goldcut.report.tradeoff import tradeoff_charts
from goldcut.report.verdict import Verdict, reach_verdict

STANDINGS: Mapping[Standing, str] = {
    "confirmed": "Confirmed by the attack",
    "refuted": "Refuted by the attack",
    "open": "Not decided",
    "unattacked": "Not attacked",
    "missed": "Seen by the attack only",
    "no_zone": "No zone",
}
CONFIRMED_BUT = "The zone is confirmed, and still leaks"


@dataclass(frozen=True)
class Tile:
    """A key figure: what it is, its value, its limits, and what to hold it against."""

    title: str
    value: str
    detail: str
    limits: str = ""


def write_report(run: Path) -> Path:
    """Write RUN/report.html from scan.json, attack.json and gallery.npz; the last two may be absent.

    Raises:
        RunError: There is no scan, a file is damaged or of another version, the attack was made on another
            scan, or the folder cannot be written.
    """
    scan, attack = read_run(run)
    missing: tuple[tuple[str, str], ...] = ()
    strips: tuple[Strip, ...] = ()
    if attack:
        try:
            strips = read_gallery(run / "gallery.npz", scan, attack)
        except RunError as error:
            missing = (("picture grid", str(error)),)
    path = run / "report.html"
    promise = read_promise(run)
    records.write_atomically(path, render(scan, attack, strips, missing, promise).encode())
    return path


def render(
    scan: ScanRecord,
    attack: AttackRecord | None = None,
    strips: Sequence[Strip] = (),
    missing: Sequence[tuple[str, str]] = (),
    promise: PromiseRecord | None = None,
) -> str:
    """The page as text; `missing` is what could not be shown, and why."""
    shown, links = bands(scan, attack), tuple(LINKS.values())
    attacked = attack if attack and attack.worst else None
    sections = _charts(scan, attacked, shown, links)
    verdict = reach_verdict(scan, attack)
    return fill(
        "page.html",
        (chart for group in sections.values() for chart in group),
        scan=scan,
        attack=attacked,
        verdict=verdict,
        standing=CONFIRMED_BUT
        if verdict.standing == "confirmed" and verdict.tone != "good"
        else STANDINGS[verdict.standing],
        tiles=_tiles(scan, attacked, verdict),
        bands=shown,
        sections=sections,
        strips=strips,
        promise=promise
        and {
            "headline": promised.headline(promise),
            "sentences": promised.sentences(promise),
            "assumptions": promise.assumptions,
        },
        columns=tables.cut_columns(links, attacked is not None, tables.is_measured(scan)),
        rows=tables.cut_rows(scan, attacked, shown, links),
        zones=zone_table.zone_rows(_with_quarter(shown, attacked)),
        disagreement=zone_table.disagreement(scan, shown),
        bounds=figure_tables.bound_rows(scan),
        result_columns=figure_tables.RESULT_COLUMNS,
        results=figure_tables.result_rows(attacked) if attacked else (),
        inferred_columns=inferred.COLUMNS,
        inferred=inferred.inferred_rows(attack) if attack else (),
        inferred_attributes=inferred.attributes_of(attack) if attack else (),
        definitions=words.DEFINITIONS,
        threat_model=words.threat_model(attacked) if attacked else (),
        assumptions=words.assumptions(scan, attacked),
        links=words.link_rows(links),
        refused=tuple((refused.name, refused.reason) for refused in scan.refused),
        unmeasured=(*words.unmeasured(scan, attack), *missing),
        provenance=words.provenance(scan, attack),
    )


def _charts(
    scan: ScanRecord, attack: AttackRecord | None, shown: Sequence[Band], links: Sequence[Link]
) -> dict[str, list[Chart]]:
    leakage: list[Chart] = []
    tradeoff: list[Chart] = []
    if attack:
        identification = charts.identification_chart(scan, attack, shown)
        leakage = [charts.recovered_chart(scan, attack, shown), *([identification] if identification else [])]
        leakage += attacker_charts(scan, attack, shown)
        tradeoff = tradeoff_charts(scan, attack, links)
    return {
        "statistics": charts.statistics_charts(scan, shown),
        "leakage": leakage,
        "tradeoff": tradeoff,
        "cost": charts.cost_charts(scan, shown),
    }


def _with_quarter(shown: Sequence[Band], attack: AttackRecord | None) -> tuple[Band, ...]:
    if attack is None:
        return tuple(shown)
    named = [
        Band("post hoc, half", band.colour, band.zone) if band.zone is attack.zone_post_hoc else band for band in shown
    ]
    return (*named, Band("post hoc, a quarter", "", attack.zone_post_hoc_quarter))


def _tiles(scan: ScanRecord, attack: AttackRecord | None, verdict: Verdict) -> list[Tile]:
    """Key figures of the cut that the verdict speaks of."""
    cut = next((cut for cut in scan.cuts if cut.name == verdict.cut), None)
    if cut is None:
        return []
    role = "recommended cut" if cut.name == scan.recommended else "cut in question"
    zone = [band.title for band in bands(scan, attack) if cut.name in band.zone.cuts]
    tiles = [
        Tile(role, cut.name, f"in the zone of: {', '.join(zone)}" if zone else "in no zone"),
        _leak(attack, cut.name),
    ]
    results = [r for r in attack.results if r.cut == cut.name and known(r.identification)] if attack else []
    if results:
        best = max(results, key=lambda result: result.identification or 0)
        limits = interval(best.identification_low, best.identification_high)
        tiles.append(Tile("identified among 20", percent(best.identification), "chance: 5\N{NO-BREAK SPACE}%", limits))
    flops = f"{count(cut.edge_flops)} of {count(cut.edge_flops + cut.cloud_flops)}"
    tiles.append(Tile("FLOPs on the device", percent(edge_flops(cut)), flops))
    tiles.append(Tile("sent per image", size(cut.payload_bytes), f"8-bit image: {size(prod(scan.model.input_shape))}"))
    return tiles


def _leak(attack: AttackRecord | None, cut: str) -> Tile:
    worst = next((worst for worst in attack.worst if worst.cut == cut), None) if attack else None
    if attack is None or worst is None:
        return Tile("recovered", "not attacked", "no evidence of safety")
    mean = attack.baselines.class_mean
    against = f"class mean alone: {percent(mean.recovered)}" if mean else worst.attack
    return Tile("recovered", percent(worst.recovered), against, interval(worst.recovered_low, worst.recovered_high))
