"""The rules side by side, and where they disagree."""

from collections.abc import Sequence
from dataclasses import dataclass

from goldcut.records import ScanRecord
from goldcut.report.figures import Band
from goldcut.report.quantities import listing, percent, plural


@dataclass(frozen=True)
class ZoneRow:
    """A rule and what it says."""

    title: str
    colour: str
    begins: str
    cuts: str
    confidence: str
    reasons: tuple[str, ...]


def zone_rows(shown: Sequence[Band]) -> tuple[ZoneRow, ...]:
    """The rules side by side."""
    rows = []
    for band in shown:
        zone = band.zone
        begins = zone.first or ("no zone" if zone.decided else "not decided")
        cuts = listing(zone.cuts) if len(zone.cuts) < 3 else f"to {zone.cuts[-1]}, {len(zone.cuts)} cuts"
        rows.append(ZoneRow(band.title, band.colour, begins, cuts, percent(zone.confidence), tuple(zone.reasons)))
    return tuple(rows)


def disagreement(scan: ScanRecord, shown: Sequence[Band]) -> str:
    """Where the rules differ, in one sentence."""
    decided = [band for band in shown if band.zone.decided]
    if len(decided) < 2:
        return f"Only the {decided[0].title} could be applied." if decided else "No rule could be applied."
    said: dict[str | None, list[str]] = {}
    for band in decided:
        said.setdefault(band.zone.first, []).append(band.title)
    if len(said) == 1:
        first = decided[0].zone.first
        return f"All rules agree: the zone begins at {first}." if first else "All rules agree: there is no zone."
    place = {cut.name: position for position, cut in enumerate(scan.cuts)}
    places = [place[first] for first in said if first in place]
    apart = f", {plural(max(places) - min(places), 'cut')} apart" if len(places) > 1 else ""
    opinions = [f"{first or 'no zone'} ({', '.join(titles)})" for first, titles in said.items()]
    return f"The rules disagree{apart}: {'; '.join(opinions)}."
