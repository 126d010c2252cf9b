"""What a sweep has found so far: how its trials stand, the cuts on one scale, and a page of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldcut.records import write_atomically
from goldcut.report.points import Match, Point, compare_points, match_accuracy
from goldcut.report.quantities import plural, seconds
from goldcut.report.sheet import Block, Line, Part, render_points
from goldcut.sweeps.store import STATES, Entry, State, Store
from goldcut.sweeps.table import Row, read_rows

PAGE = "sweep.html"

SHARED = ("labels", "level", "effort", "knowledge", "aux", "victims", "queries")
"""Columns that, beside model and images, say what is compared with what; told where they differ."""


@dataclass(frozen=True, kw_only=True)
class TrialState:
    """A trial and how it stands.

    Attributes:
        trial: In words.
        error: Why it failed.
    """

    id: str
    trial: str
    state: State
    seconds: float | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A sweep so far.

    Attributes:
        out: Its folder.
        counts: Trials by state.
        points: The attacked cuts of all trials that are done, but the output.
        matches: What leaks least at matched accuracy.
        failed_attacks: Attacks of trials that are done which could not be carried out.
        page: The HTML file.
    """

    out: str
    counts: Mapping[State, int]
    trials: tuple[TrialState, ...]
    points: tuple[Point, ...]
    matches: tuple[Match, ...]
    failed_attacks: int
    page: str


def summarise(store: Store) -> Summary:
    """Read the tables of all trials that are done, and write the page.

    Raises:
        SweepError: A table is damaged.
    """
    entries = store.entries()
    rows = read_rows(store.table_path(entry.id) for entry in entries if entry.state == "done")
    points = compare_points(points_of_rows(rows))
    summary = Summary(
        out=str(store.folder),
        counts={state: sum(entry.state == state for entry in entries) for state in STATES},
        trials=tuple(_state(entry) for entry in entries),
        points=points,
        matches=match_accuracy(points),
        failed_attacks=sum(row["error"] is not None for row in rows),
        page=str(store.folder / PAGE),
    )
    page = render_points(f"sweep {store.folder}", points, [say_counts(summary)], [_trials_part(summary)])
    write_atomically(Path(summary.page), page.encode())
    return summary


def points_of_rows(rows: Sequence[Row]) -> list[Point]:
    """The strongest attack of each trial at each cut, but the output."""
    differing = [key for key in SHARED if len({row[key] for row in rows}) > 1]
    strongest: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row["trial"], row["cut"])
        if row["recovered"] is not None and row["cut"] != "output":
            known = strongest.get(key)
            if known is None or row["recovered"] > known["recovered"]:
                strongest[key] = row
    return [_point(row, differing) for row in strongest.values()]


def say_counts(summary: Summary) -> str:
    """How the trials stand, in a sentence."""
    told = [f"{count} {state}" for state, count in summary.counts.items() if count]
    attacks = summary.failed_attacks
    more = f" {plural(attacks, 'attack')} could not be carried out; the tables say why." if attacks else ""
    return f"{plural(len(summary.trials), 'trial')}: {', '.join(told) or 'none'}.{more}"


def _point(row: Row, differing: Sequence[str]) -> Point:
    names = [row["model"], row["checkpoint"], row["weights"]]
    told = [f"{key} {row[key]}" for key in differing]
    model = f"{' '.join(filter(None, names))} ({row['model_sha256'][:8]})"
    return Point(
        group=", ".join([f"{model} on {row['data']}", *told]),
        defense=row["defense"] or "none",
        cut=row["cut"],
        place=row["place"],
        in_zone=row["in_zone"],
        accuracy=row["accuracy"],
        accuracy_undefended=row["accuracy_undefended"],
        recovered=row["recovered"],
        recovered_low=row["recovered_low"],
        recovered_high=row["recovered_high"],
        attack=row["attack"],
        converged=row["converged"],
        payload_bytes=row["payload_bytes"],
        edge_flops=row["edge_flops"],
        edge_share=row["edge_share"],
    )


def _state(entry: Entry) -> TrialState:
    return TrialState(id=entry.id, trial=str(entry.trial), state=entry.state, seconds=entry.seconds, error=entry.error)


def _trials_part(summary: Summary) -> Part:
    lines = tuple(
        Line((one.id, one.trial, one.error or one.state, seconds(one.seconds)), marked=one.state == "failed")
        for one in summary.trials
    )
    return Part(
        "Trials", tables=(Block("All trials; failed ones are marked", ("trial", "what", "state", "time"), lines, 3),)
    )
