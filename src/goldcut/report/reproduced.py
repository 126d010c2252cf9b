"""A reproduced table as Markdown: the verdicts first, then what was measured, then how."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from goldcut.records import ClaimRecord, ReproduceRecord, Verdict
from goldcut.report.quantities import MISSING

STYLES: Mapping[Verdict, str] = {
    "holds": "green",
    "does not hold": "bold red",
    "not testable at this scale": "yellow",
    "not run": "dim",
}


def to_markdown(record: ReproduceRecord) -> str:
    """The whole table; every figure is in the record."""
    missing = [step.step for step in record.steps if step.seconds is None]
    parts = [f"# {record.title}", f"`{record.command}`"]
    if missing:
        parts.append(f"**Not complete**: {len(missing)} of {len(record.steps)} steps have not been carried out.")
    parts += ["## Claims", _claims(record.claims), *_differences(record.claims), "## Measured", _rows(record.rows)]
    seconds = sum(step.seconds or 0 for step in record.steps)
    done = [step for step in record.steps if step.seconds is not None]
    parts.append("## How")
    if done:
        versions = ", ".join(f"{name} {version}" for name, version in done[0].versions.items())
        longest = max(step.seconds or 0 for step in done)
        parts.append(
            f"{len(done)} steps, {seconds / 60:.0f} minutes in all, the longest {longest:.0f} s;"
            f" {done[0].machine}, {done[0].threads} thread, {done[0].device}; {versions}."
        )
    if record.data_sha256:
        parts.append(
            "Scanned images: " + ", ".join(f"{name} {sha[:12]}" for name, sha in record.data_sha256.items()) + "."
        )
    return "\n\n".join(parts) + "\n"


def verdict_cell(claim: ClaimRecord) -> str:
    """The verdict, with its reason."""
    return f"**{claim.verdict}**{f': {claim.reason}' if claim.reason else ''}"


def _claims(claims: Sequence[ClaimRecord]) -> str:
    head = ("claim", "on", "figure", "paper", "ours (95 %)", "needs", "verdict")
    rows = [
        (one.claim, one.subject, one.figure, one.paper or MISSING, _interval(one), one.needs, verdict_cell(one))
        for one in claims
    ]
    return _table(head, rows)


def _differences(claims: Sequence[ClaimRecord]) -> list[str]:
    """Each difference from the published setting once."""
    found = list(dict.fromkeys(one.difference for one in claims if one.difference))
    return ["Ours differs from the published setting:\n\n" + "\n".join(f"- {one}" for one in found)] if found else []


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "Nothing yet."
    return _table(tuple(rows[0]), [tuple(_cell(value) for value in row.values()) for row in rows])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _interval(claim: ClaimRecord) -> str:
    if claim.value is None:
        return MISSING
    if claim.low == claim.high == claim.value:
        return _cell(claim.value)
    return f"{_cell(claim.value)} ({_cell(claim.low)} to {_cell(claim.high)})"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def print_claims(record: ReproduceRecord, console: Console | None = None) -> None:
    """Each verdict in a line or two."""
    console = console or Console()
    console.print(Text(f"{record.title} ({record.scale} scale)", style="bold"))
    for claim in record.claims:
        console.print(Text(f"{claim.verdict}: {claim.claim}", style=STYLES[claim.verdict]))
        console.print(
            Text(f"    {claim.subject}: {_interval(claim)}, needs {claim.needs}; paper: {claim.paper or MISSING}")
        )
        if claim.reason:
            console.print(Text(f"    {claim.reason}"))
