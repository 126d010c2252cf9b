"""The tables of `benchmarks.levers`: what label distributions and post hoc defences change, with paired intervals.

    python -m benchmarks.levers_table DIR docs/results/sweep

DIR is the --out of `benchmarks.levers`, finished or not. Writes table.csv, a row for each trial, cut and attack, and
tables.md.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.levers import ATTACKS, DATA, NETWORKS, TARGETS, Cell
from goldcut.metrics.bootstrap import bootstrap_mean
from goldcut.records import write_atomically
from goldcut.sweeps.store import open_store
from goldcut.sweeps.table import Row, read_rows

PLANNED = len(NETWORKS) * len(DATA) * len(TARGETS) * sum(len(defenses) for _, defenses in ATTACKS)
Key = tuple[str, str, str, str]
"""Network and data, cut, attack, and what is left of targets or defence."""


def read_table(folder: Path) -> list[Row]:
    """The rows of the grid that have ended, with the classifier's name in the place of paths."""
    with open_store(folder / "sweep") as store:
        done = [entry.id for entry in store.entries() if entry.state == "done"]
        rows = read_rows(store.table_path(one) for one in done)
    asked = {(attack, one) for attacks, defenses in ATTACKS for attack in attacks.split(",") for one in defenses}
    kept = []
    for row in rows:
        network, data, targets = Path(row["checkpoint"]).stem.split("-", 2)
        row |= {"checkpoint": f"{network}-{data}-{targets}", "data": f"{data}.npz", "defense": row["defense"] or "none"}
        row |= {"cell": f"{network} on {data}", "targets": TARGETS[targets]}
        if (row["attack"], row["defense"]) in asked:
            kept.append(row)
    return sorted(kept, key=lambda row: (row["checkpoint"], row["attack"], row["defense"], row["place"]))


def pair(folder: Path, rows: list[Row], fixed: Callable[[Row], Key], lever: str, zero: str) -> Iterable[list[str]]:
    """Cells of a Markdown table: each row of the lever against the one at `zero`, on the same victims."""
    base = {fixed(row): row for row in rows if row[lever] == zero and row["error"] is None}
    for row in rows:
        other = base.get(fixed(row))
        if row[lever] == zero or other is None or row["error"] is not None:
            continue
        mine, theirs = squares(folder, row), squares(folder, other)
        image = other["mse"] / (1 - other["recovered"])
        change = (theirs - mine) / image
        low, high = bootstrap_mean(change, seed=0)
        behind = f"{other['accuracy']:.3f} to {row['accuracy']:.3f}"
        gain = f"{change.mean():+.3f} ({low:+.3f} to {high:+.3f})"
        yield [*fixed(row), str(row[lever]), behind, f"{other['recovered']:.3f}", gain, verdict(low, high)]


def verdict(low: float, high: float) -> str:
    """In a word."""
    return "less leaks" if high < 0 else "more leaks" if low > 0 else "no difference seen"


def squares(folder: Path, row: Row) -> np.ndarray:
    """Mean squared error of each victim, in the order of their hashes."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(folder / "sweep" / "runs" / row["trial"] / "victims.parquet").to_pylist()
    own = sorted(
        (one["sha256"], one["mse"]) for one in table if (one["cut"], one["attack"]) == (row["cut"], row["attack"])
    )
    return np.array([mse for _, mse in own], dtype=np.float64)


def tabulate(titles: list[str], rows: Iterable[list[str]]) -> str:
    """Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def classifiers(folder: Path) -> Iterable[list[str]]:
    """Each classifier with its accuracy."""
    for network in NETWORKS:
        for data in DATA:
            for name, targets in TARGETS.items():
                path = Cell(network, data, folder).weights(name).with_suffix(".json")
                if path.exists():
                    found: dict[str, Any] = json.loads(path.read_bytes())
                    limits = f"{found['accuracy_low']:.3f} to {found['accuracy_high']:.3f}"
                    yield [f"{network} on {data}", targets, f"{found['accuracy']:.3f} ({limits})"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path))
def main(folder: Path, out: Path) -> None:
    """Write what is there."""
    rows = read_table(folder)
    written = io.StringIO()
    columns = [name for name in rows[0] if name not in ("cell", "weights", "aux", "labels", "level")]
    table = csv.DictWriter(written, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomically(out / "table.csv", written.getvalue().encode())
    change = ["accuracy", "recovered before", "change of recovered", "verdict"]
    parts = [
        f"{len({row['trial'] for row in rows})} of {PLANNED} trials.",
        "## Classifiers",
        tabulate(["network and data", "targets", "test accuracy"], classifiers(folder)),
        "## Label distributions, against one-hot",
        tabulate(
            ["network and data", "cut", "attack", "defence", "targets", *change],
            pair(
                folder, rows, lambda row: (row["cell"], row["cut"], row["attack"], row["defense"]), "targets", "one-hot"
            ),
        ),
        "## Post hoc defences, against none",
        tabulate(
            ["network and data", "cut", "attack", "targets", "defence", *change],
            pair(folder, rows, lambda row: (row["cell"], row["cut"], row["attack"], row["targets"]), "defense", "none"),
        ),
    ]
    write_atomically(out / "tables.md", ("\n\n".join(parts) + "\n").encode())


if __name__ == "__main__":
    main()
