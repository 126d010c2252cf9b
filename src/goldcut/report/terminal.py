"""The same words and figures for a terminal, as rich tables.

Names come from models and data, so they are printed as plain text and never read as markup.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldcut.records import AttackRecord, CutsRecord, PromiseRecord, ScanRecord, ScoreRecord
from goldcut.report import promised
from goldcut.report.compare import Comparison, Reading
from goldcut.report.figures import edge_flops, edge_params
from goldcut.report.folder import read_run
from goldcut.report.inferred import say_inferred
from goldcut.report.quantities import MISSING, count, dimensions, known, number, percent, plural, seconds, share, size
from goldcut.report.verdict import Tone, reach_verdict

STYLES: dict[Tone, str] = {"good": "bold green", "caution": "bold yellow", "bad": "bold red", "unknown": "bold"}


def print_verdict(run: Path, console: Console | None = None) -> None:
    """The verdict of a run folder: the headline, then why, what now and what to know before.

    Raises:
        RunError: There is no scan, a file is damaged, or the attack was made on another scan.
    """
    console, verdict = console or Console(), reach_verdict(*read_run(run))
    console.print(Text(verdict.headline, style=STYLES[verdict.tone]))
    for title, sentences in (
        ("", verdict.findings),
        ("What now", verdict.advice),
        ("Before you use this", verdict.cautions),
    ):
        if title and sentences:
            console.print(Text(title, style="bold"))
        _print_bullets(console, sentences)


def print_score(record: ScoreRecord, console: Console | None = None) -> None:
    """What a third party recovered at a cut."""
    console, scores = console or Console(), record.scores
    got = share(scores.recovered, scores.recovered_low, scores.recovered_high)
    console.print(Text(f"At {record.cut} these images recover {got} of the pixel variance.", style="bold"))
    if mean := record.class_mean:
        console.print(Text(f"The class mean alone, without looking at Z, gives {percent(mean.recovered)}."))
    told = percent(scores.identification) if known(scores.identification) else MISSING
    console.print(Text(f"Identified among 20 of the same predicted class: {told}; MSE {number(scores.mse)}."))


def print_promise(record: PromiseRecord, console: Console | None = None) -> None:
    """What is promised, with which noise, at which price, and how far attackers come in spite of it."""
    console = console or Console()
    console.print(Text(promised.headline(record), style="bold"))
    _print_bullets(console, promised.sentences(record))
    console.print(Text("It rests on this:"))
    _print_bullets(console, record.assumptions)


def _print_bullets(console: Console, sentences: Sequence[str]) -> None:
    bullets = Table.grid(padding=(0, 1))
    for sentence in sentences:
        bullets.add_row(" -", Text(sentence))
    console.print(bullets)


def print_cuts(found: CutsRecord, console: Console | None = None) -> None:
    """Every place where a model can be cut, with its price; how many places were refused."""
    console = console or Console()
    console.print(_times_table(found) if any(known(cut.edge_seconds) for cut in found.cuts) else _price_table(found))
    if found.refused:
        console.print(Text(f"refused: {plural(len(found.refused), 'place')}; the reasons are in --json", style="dim"))


def _price_table(found: CutsRecord) -> Table:
    table = _table(found.model.spec)
    table.add_column("cut", overflow="fold")
    table.add_column("level")
    for title in ("Z", "FLOPs, device", "params, device", "payload"):
        table.add_column(title, justify="right", no_wrap=True)
    for cut in found.cuts:
        table.add_row(
            Text(cut.name),
            cut.level,
            dimensions(cut.shape).replace(" ", ""),
            f"{count(cut.edge_flops)}  {percent(edge_flops(cut)):>6}",
            f"{count(cut.edge_params)}  {percent(edge_params(cut)):>6}",
            size(cut.payload_bytes),
        )
    return table


def _times_table(found: CutsRecord) -> Table:
    table = _table(f"{found.model.spec}, measured on this machine for one image")
    table.add_column("cut", overflow="fold")
    for title in ("Z", "FLOPs", "params", "payload", "device", "cloud", "peak"):
        table.add_column(title, justify="right", no_wrap=True)
    for cut in found.cuts:
        table.add_row(
            Text(cut.name),
            dimensions(cut.shape).replace(" ", ""),
            percent(edge_flops(cut)),
            percent(edge_params(cut)),
            size(cut.payload_bytes),
            seconds(cut.edge_seconds),
            seconds(cut.cloud_seconds),
            size(cut.edge_peak_bytes),
        )
    return table


def print_scan(scan: ScanRecord, console: Console | None = None) -> None:
    """Every cut with its price and statistics; marks say which zones hold it."""
    table = _table(f"{scan.model.spec} on {scan.data.spec}")
    table.add_column("cut", overflow="fold")
    table.add_column("zone")
    for title in ("FLOPs", "params", "payload", "image", "within", "R²/D"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Z", justify="right", no_wrap=True)
    for cut in scan.cuts:
        marks = [mark for mark, zone in (("P", scan.zone_paper), ("D", scan.zone)) if cut.name in zone.cuts]
        table.add_row(
            Text(cut.name),
            "".join(marks) + (" *" if cut.name == scan.recommended else ""),
            percent(edge_flops(cut)),
            percent(edge_params(cut)),
            size(cut.payload_bytes),
            percent(cut.image_dependence),
            percent(cut.within_share_standardised),
            number(cut.radius_sq_per_element),
            dimensions(cut.shape).replace(" ", ""),
            style="bold" if cut.name == scan.recommended else "",
        )
    console = console or Console()
    console.print(table)
    legend = (
        "zone: P by the paper's rule, D by the default rule, * recommended; FLOPs and params: share on the device; "
        "image: distance correlation of Z with it, within: within_share_standardised"
    )
    console.print(Text(legend, style="dim"))


def print_attack(attack: AttackRecord, console: Console | None = None) -> None:
    """What the strongest attack recovers at each cut, beside the baselines."""
    best = {(result.cut, result.attack): result for result in attack.results}
    identified: dict[str, list[float]] = {}
    for one in attack.results:
        if one.identification is not None:
            identified.setdefault(one.cut, []).append(one.identification)
    table = _table("strongest attack at each cut")
    table.add_column("cut", overflow="fold", min_width=9)
    table.add_column("attack", no_wrap=True)
    for title in ("recovered", "identified", "SSIM", "PSNR, dB"):
        table.add_column(title, justify="right", no_wrap=True)
    for worst in attack.worst:
        result = best.get((worst.cut, worst.attack))
        table.add_row(
            Text(worst.cut),
            Text(worst.attack),
            share(worst.recovered, worst.recovered_low, worst.recovered_high) + ("" if worst.converged else "*"),
            percent(max(told) if (told := identified.get(worst.cut)) else None),
            number(result.ssim if result else None),
            number(result.psnr if result else None),
            style="bold" if worst.cut in attack.zone_post_hoc.cuts else "",
        )
    console = console or Console()
    if attack.worst:
        console.print(table)
        mean = attack.baselines.class_mean
        said = f"class mean alone: {percent(mean.recovered)}; " if mean else ""
        said += "identified: by whichever attack does best, chance 5 %; * still improving; bold: the zone, post hoc"
        console.print(Text(said, style="dim"))
    if inferred := say_inferred(attack):
        console.print(Text(inferred))
    for failure in attack.failed:
        console.print(Text(f"failed: {failure.attack} at {failure.cut}: {failure.reason}", style="yellow"))


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Runs side by side: what they are, then the cuts."""
    console = console or Console()
    console.print(_runs_table(comparison))
    table = _table("recovered by the strongest attack, and within_share")
    table.add_column("cut", overflow="fold")
    for turn in range(1, len(comparison.runs) + 1):
        table.add_column(f"recovered {turn}", justify="right", no_wrap=True)
    table.add_column("change, points", justify="right", no_wrap=True)
    for turn in range(1, len(comparison.runs) + 1):
        table.add_column(f"within {turn}", justify="right", no_wrap=True)
    for row in comparison.cuts:
        table.add_row(
            Text(row.cut),
            *(_recovered(reading) for reading in row.readings),
            _change(row.readings[0], row.readings[-1]),
            *(percent(reading.within_share) if reading else MISSING for reading in row.readings),
        )
    console.print(table)
    console.print(
        Text("change: last run minus first, in brackets when the intervals overlap; * still improving", style="dim")
    )
    for note in comparison.notes:
        console.print(Text(note, style="yellow"))


def _table(title: str) -> Table:
    return Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def _runs_table(comparison: Comparison) -> Table:
    table = _table("runs")
    table.add_column("")
    for turn, run in enumerate(comparison.runs, 1):
        table.add_column(Text(f"{turn}  {run.name}"), overflow="fold")
    for title, texts in (
        ("model", [run.model for run in comparison.runs]),
        ("images", [run.data for run in comparison.runs]),
        ("accuracy", [percent(run.accuracy) for run in comparison.runs]),
        ("zone, paper", [run.zone_paper or MISSING for run in comparison.runs]),
        ("zone, default", [run.zone or MISSING for run in comparison.runs]),
        ("zone, post hoc", [run.zone_post_hoc or MISSING for run in comparison.runs]),
        ("recommended", [run.recommended or MISSING for run in comparison.runs]),
        ("class mean", [percent(run.class_mean) for run in comparison.runs]),
        ("verdict", [run.verdict for run in comparison.runs]),
    ):
        table.add_row(title, *map(Text, texts))
    return table


def _recovered(reading: Reading | None) -> str:
    if reading is None:
        return "no such cut"
    if reading.recovered is None:
        return "not attacked"
    text = share(reading.recovered, reading.recovered_low, reading.recovered_high)
    return text if reading.converged else f"{text}*"


def _change(first: Reading | None, last: Reading | None) -> str:
    """Last minus first in points; in brackets when the intervals overlap."""
    if not first or not last or not known(first.recovered) or not known(last.recovered):
        return ""
    text = f"{100 * (last.recovered - first.recovered):+.0f}"
    limits = (first.recovered_low, first.recovered_high, last.recovered_low, last.recovered_high)
    if all(known(limit) for limit in limits):
        low_1, high_1, low_2, high_2 = (limit or 0.0 for limit in limits)
        return f"({text})" if low_1 <= high_2 and low_2 <= high_1 else text
    return text
