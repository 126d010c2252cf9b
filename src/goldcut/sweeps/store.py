"""What a sweep keeps: the state of every trial in SQLite, and a Parquet file for each that is done.

    pending --claim--> running --finish--> done
       ^                  |--fail-------> failed
       |--release, lose---'   (a claim whose owner is gone is open again)
       '------------------------retry-------'

A claim names its owner and when that was last heard of. Several owners may work on one folder; each trial is claimed by
one, and only its owner can end it. The Parquet file is written before its trial is called done. The state has a
rollback journal, which works on file systems that machines share; a write-ahead log would not.
"""

import contextlib
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import uuid4

from goldcut.errors import SweepError
from goldcut.records import write_atomically
from goldcut.sweeps.table import pack_rows
from goldcut.sweeps.trials import Trial, read_content

State = Literal["pending", "running", "done", "failed"]
STATES: tuple[State, ...] = get_args(State)

SILENCE = 60.0
"""Seconds after which an owner on another machine that has not been heard of counts as gone."""

MOST_LOSSES = 2
"""Workers that may die of a trial before it counts as failed."""

VERSION = 1

TABLE = """
CREATE TABLE IF NOT EXISTS trials (
    id TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    content TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'done', 'failed')),
    owner TEXT,
    heartbeat REAL,
    losses INTEGER NOT NULL DEFAULT 0,
    seconds REAL,
    error TEXT
)
"""


@dataclass(frozen=True)
class Entry:
    """A trial as the store knows it.

    Attributes:
        owner: Who runs it, or ran it last.
        losses: Workers that died of it.
        seconds: Wall clock of a trial that is done or failed.
        error: Why it failed.
    """

    id: str
    trial: Trial
    state: State
    owner: str | None
    losses: int
    seconds: float | None
    error: str | None


class Store:
    """The state of a sweep in a folder.

    Args:
        folder: Made where it is missing.
        owner: Name of who claims; one of its own by default.

    Raises:
        SweepError: The folder cannot be used, or holds a state of another version.
    """

    def __init__(self, folder: Path, owner: str | None = None) -> None:
        self.folder = folder
        self.owner = owner or new_owner()
        try:
            self.tables.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / "sweep.sqlite", timeout=30, isolation_level=None)
            with self.together() as db:
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version not in (0, VERSION):
                    raise SweepError(f"{folder} holds a sweep of version {version}", "Give another --out.")
                db.execute(TABLE)
                db.execute(f"PRAGMA user_version = {VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise SweepError(f"{folder} cannot hold a sweep: {error}", "Give another --out.") from error

    @property
    def tables(self) -> Path:
        """Folder of the Parquet files."""
        return self.folder / "trials"

    def table_path(self, id: str) -> Path:
        """The Parquet file of a trial."""
        return self.tables / f"{id}.parquet"

    def run_folder(self, id: str) -> Path:
        """The run folder of a trial."""
        return self.folder / "runs" / id

    def close(self) -> None:
        """Give back what is still claimed, and close."""
        self.release()
        self._db.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def plan(self, trials: Iterable[Trial]) -> None:
        """Add the trials that are not here yet, as pending, and set the order of all that are named.

        Those that are done and whose table is gone are pending again.
        """
        rows = [(trial.id, place, trial.content) for place, trial in enumerate(trials)]
        gone = [(id,) for id, *_ in rows if not self.table_path(id).exists()]
        with self.together() as db:
            db.executemany(
                "INSERT INTO trials (id, place, content) VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET place = excluded.place",
                rows,
            )
            db.executemany("UPDATE trials SET state = 'pending' WHERE id = ? AND state = 'done'", gone)

    def retry_failed(self, ids: Sequence[str]) -> None:
        """Make failed trials pending again."""
        with self.together() as db:
            db.executemany(
                "UPDATE trials SET state = 'pending', error = NULL, losses = 0 WHERE id = ? AND state = 'failed'",
                [(id,) for id in ids],
            )

    def claim(self, ids: Iterable[str]) -> Entry | None:
        """Claim the first of these trials, in their order of the plan, that is pending or whose owner is gone."""
        wanted = set(ids)
        with self.together() as db:
            rows = db.execute(
                "SELECT id, state, owner, heartbeat FROM trials"
                " WHERE state IN ('pending', 'running') ORDER BY place, id"
            )
            for id, state, owner, heartbeat in rows.fetchall():
                if id in wanted and (state == "pending" or (owner != self.owner and is_gone(owner, heartbeat))):
                    db.execute(
                        "UPDATE trials SET state = 'running', owner = ?, heartbeat = ? WHERE id = ?",
                        (self.owner, time.time(), id),
                    )
                    return self._entry(id)
        return None

    def beat(self) -> None:
        """Say that the owner of these claims is alive."""
        with self.together() as db:
            db.execute(
                "UPDATE trials SET heartbeat = ? WHERE state = 'running' AND owner = ?", (time.time(), self.owner)
            )

    def finish(self, id: str, rows: Sequence[dict[str, Any]], seconds: float) -> bool:
        """Write the table of a trial and call it done; False where the claim is no longer ours."""
        write_atomically(self.table_path(id), pack_rows(rows))
        return self._end(id, "state = 'done', error = NULL, seconds = ?", seconds)

    def fail(self, id: str, error: str, seconds: float | None = None) -> bool:
        """Call a trial failed; False where the claim is no longer ours."""
        return self._end(id, "state = 'failed', error = ?, seconds = ?", error, seconds)

    def lose(self, id: str, reason: str) -> State:
        """Note that a worker died of a trial: pending again, or failed when it was one too many."""
        with self.together() as db:
            losses = 1 + int(db.execute("SELECT losses FROM trials WHERE id = ?", (id,)).fetchone()[0])
            state: State = "failed" if losses >= MOST_LOSSES else "pending"
            error = f"{reason}, {losses} times" if state == "failed" else None
            db.execute(
                "UPDATE trials SET state = ?, losses = ?, error = ?, owner = NULL"
                " WHERE id = ? AND state = 'running' AND owner = ?",
                (state, losses, error, id, self.owner),
            )
        return state

    def release(self) -> None:
        """Give back every claim."""
        with self.together() as db:
            db.execute(
                "UPDATE trials SET state = 'pending', owner = NULL WHERE state = 'running' AND owner = ?", (self.owner,)
            )

    def entries(self, ids: Iterable[str] | None = None) -> tuple[Entry, ...]:
        """All trials, or these, in the order of the plan."""
        every = [self._entry(row[0]) for row in self._db.execute("SELECT id FROM trials ORDER BY place, id").fetchall()]
        wanted = None if ids is None else set(ids)
        return tuple(entry for entry in every if wanted is None or entry.id in wanted)

    def _entry(self, id: str) -> Entry:
        row = self._db.execute(
            "SELECT content, state, owner, losses, seconds, error FROM trials WHERE id = ?", (id,)
        ).fetchone()
        return Entry(id, read_content(row[0]), *row[1:])

    def _end(self, id: str, change: str, *values: Any) -> bool:
        with self.together() as db:
            done = db.execute(
                f"UPDATE trials SET {change} WHERE id = ? AND state = 'running' AND owner = ?",
                (*values, id, self.owner),
            )
            return done.rowcount == 1

    @contextlib.contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """What is changed meanwhile is one transaction, which no other writer comes between and one flush ends."""
        if self._db.in_transaction:
            yield self._db
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise SweepError(f"{self.folder} cannot keep the sweep: {error}", "Free the disk, then go on.") from error


def open_store(folder: Path) -> Store:
    """The store of a folder that has one.

    Raises:
        SweepError: There is none.
    """
    if not (folder / "sweep.sqlite").is_file():
        raise SweepError(f"{folder} holds no sweep", "Give a folder that `goldcut sweep` has made.")
    return Store(folder)


def new_owner() -> str:
    """A name for this process: machine, process, when it was started, and something of its own."""
    return "/".join((socket.gethostname(), str(os.getpid()), _started(os.getpid()), uuid4().hex[:8]))


def is_gone(owner: str | None, heartbeat: float | None) -> bool:
    """Whether the owner of a claim is no longer there: at once on this machine, after a silence on another."""
    host, pid, started, *_ = f"{owner or ''}///".split("/")
    if host == socket.gethostname() and pid.isdigit() and started:
        return _started(int(pid)) != started
    return time.time() - (heartbeat or 0) > SILENCE


def _started(pid: int) -> str:
    """When a process of this machine was started, in ticks since boot; "" where there is none or it cannot be told."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
