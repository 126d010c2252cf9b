"""What is decided and deployed, on the terminal: a search over cuts, an export, its verification, an attack on it."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldcut.records import Certificate, EdgeAttackRecord, Manifest, RecommendRecord, VerifyRecord
from goldcut.report.inferred import say_inferred
from goldcut.report.quantities import MISSING, count, percent, plural, seconds, share, size


def print_recommended(record: RecommendRecord, console: Console | None = None) -> None:
    """Every cut with its figures and why it is refused; the recommended one first in words."""
    console = console or Console()
    table = Table(box=SIMPLE_HEAD)
    for title in ("cut", "recovered", "FLOPs, device", "Z", "time", ""):
        table.add_column(title, overflow="fold")
    for one in record.candidates:
        told = "; ".join(one.refused) or ("not beaten" if one.on_front else "kept, beaten by another")
        figures = (share(one.recovered), count(one.edge_flops), size(one.payload), seconds(one.seconds))
        table.add_row(Text(one.cut), *figures, Text(told, style="dim" if one.refused else ""))
    console.print(table)
    headline = "No cut keeps all limits." if record.recommended is None else f"Recommended: {record.recommended}."
    console.print(Text(headline, style="bold"))


def print_export(manifest: Manifest, out: Path, console: Console | None = None) -> None:
    """What was written, how equal it is, and what the certificate says."""
    equality, codec = manifest.equality, manifest.codec
    name = f"{codec.name}+zstd" if codec.zstd else codec.name
    lines = [
        f"{out}: {manifest.model_name} {manifest.version}, cut at {manifest.cut}, Z {manifest.z_shape}",
        f"Compared on {plural(equality.images, 'image')} ({equality.source}): Z differs by "
        f"{equality.z_difference:.1e} at most, the logits by {equality.logits_difference:.1e}.",
        f"Codec {name}: {size(codec.payload_bytes)} a sample in the median, the logits differ by "
        f"{equality.codec_difference:.1e}, {percent(equality.same_class)} of the images keep their class.",
    ]
    if manifest.defense is not None:
        drawn = "drawn anew for each call" if manifest.defense.random_shape else "the same for each call"
        lines.insert(1, f"Defence {manifest.defense.spec} in the edge half, {drawn}.")
    if equality.accuracy is not None and equality.accuracy_deployed is not None:
        change = 100 * (equality.accuracy_deployed - equality.accuracy)
        lines.append(f"Accuracy {equality.accuracy_deployed:.2%}, {change:+.2f} points against the model.")
    _print([*lines, *_certified(manifest.certificate)], console)


def print_verified(record: VerifyRecord, console: Console | None = None) -> None:
    """Each check, and the hash to keep apart."""
    marks = {True: "passed", False: "FAILED"}
    lines = [f"{marks[check.passed]} {check.name}: {check.detail}" for check in record.checks]
    _print([*lines, f"manifest {record.manifest_sha256}"], console)


def print_edge_attack(record: EdgeAttackRecord, console: Console | None = None) -> None:
    """What an attacker recovers from what the edge half sends."""
    lines = [
        f"{one.attack}: {share(one.recovered, one.recovered_low, one.recovered_high)} recovered"
        for one in record.results
    ]
    lines += [f"{one.attack} failed: {one.reason}" for one in record.failed]
    if record.worst is not None:
        worst = share(record.worst.recovered, record.worst.recovered_low, record.worst.recovered_high)
        lines.append(f"At {record.cut}, sent as {record.codec}: at worst {worst} by {record.worst.attack}.")
    if inferred := say_inferred(record):
        lines.append(inferred)
    _print([*lines, *(f"Unsettled: {one}." for one in record.unsettled)], console)


def _certified(held: Certificate | None) -> list[str]:
    if held is None:
        return ["No certificate: nothing says what an attacker gets at this cut (--audit RUN)."]
    place = "in the zone" if held.in_zone else "outside the zone"
    worst = MISSING
    if held.worst is not None:
        worst = f"{share(held.worst.recovered, held.worst.recovered_low, held.worst.recovered_high)} recovered by "
        worst += held.worst.attack
    return [
        f"Certificate: {held.cut}, {place}; at worst {worst}.",
        *(f"The audit was not made on this edge: {difference}." for difference in held.differences),
        *(f"An attacker may get more: {one}." for one in held.unsettled),
    ]


def _print(lines: list[str], console: Console | None) -> None:
    """Lines as they are: names come from models and data and are never read as markup."""
    console = console or Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text(line))
