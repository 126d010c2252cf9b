"""Who carries trials out: the seam. Behind it are processes of this machine and the tasks of a Ray cluster.

A trial that raises is an outcome like another. A worker that dies (killed, out of memory) loses its trial, and says so.
Whoever works in a run folder holds its lock, so that a worker that outlives its sweep is never met by another.
"""

import fcntl
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Any

from goldcut.errors import GoldcutError, SweepError

Row = dict[str, Any]

Work = Callable[[Any, Path], list[Row]]
"""Carries out a task, such as a trial, in its folder and returns the rows of its table; can be pickled."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

CORES_A_WORKER = 4
"""Cores for each worker where nobody says how many workers there are; the attacks of a trial share them."""

LOCK_SECONDS = 60.0
"""Seconds that a run folder is waited for while somebody else still works in it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    Attributes:
        id: Of the trial.
        rows: Its table, when it is done.
        error: Why it failed; None when it is done or lost.
        lost: How its worker ended before the trial did.
        seconds: Wall clock.
    """

    id: str
    rows: list[dict[str, Any]] | None = None
    error: str | None = None
    lost: str | None = None
    seconds: float = 0.0


class Executor(ABC):
    """Carries out trials, several at once."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Trials at once."""

    @abstractmethod
    def start(self, id: str, task: Any, folder: Path) -> None:
        """Begin a task, such as a trial; there must be capacity left."""

    @abstractmethod
    def wait(self, seconds: float) -> list[Outcome]:
        """What has ended, after so many seconds at most; may be nothing."""

    @abstractmethod
    def close(self) -> None:
        """Stop everything that is still going on."""


def attempt(work: Work, id: str, task: Any, folder: Path) -> Outcome:
    """Carry out a task, alone in its folder; whatever it raises becomes its outcome."""
    start = time.perf_counter()
    try:
        with alone(folder):
            rows = work(task, folder)
    except GoldcutError as error:
        return Outcome(id, error=str(error), seconds=time.perf_counter() - start)
    except Exception as error:
        place = extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
        return Outcome(id, error=said, seconds=time.perf_counter() - start)
    return Outcome(id, rows=rows, seconds=time.perf_counter() - start)


@contextmanager
def alone(folder: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of a folder, which is made where it is missing; it ends with this process at the latest.

    Raises:
        SweepError: Somebody else holds it for so many seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    limit = time.monotonic() + seconds
    with open(folder / ".lock", "w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > limit:
                    raise SweepError(
                        f"a worker of another sweep still works in {folder}", "End it, then sweep with --retry-failed."
                    ) from None
                time.sleep(0.05)
        yield


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_cores(cores: int, workers: int | None = None) -> tuple[int, int]:
    """Workers and the computing threads of each, together never more than the cores.

    Example:
        >>> share_cores(16), share_cores(2), share_cores(8, 3), share_cores(2, 5)
        ((4, 4), (1, 2), (3, 2), (2, 1))
    """
    many = min(workers or max(1, cores // CORES_A_WORKER), cores)
    return many, cores // many


def share_nodes(cores: Sequence[int], workers: int | None = None) -> tuple[int, int]:
    """Trials at once on several machines and the threads of each trial, never more on a machine than it has cores.

    Each trial is on one machine. So many threads that `workers` trials fit; as many as the smallest machine has, up to
    CORES_A_WORKER, and as many trials as fit, where nobody says how many.

    Args:
        cores: Of each machine, at least one.
        workers: Trials at once, if anybody says so.

    Example:
        >>> share_nodes([16, 2]), share_nodes([4, 4], 3), share_nodes([2, 2], 9)
        ((9, 2), (3, 2), (4, 1))
    """
    if workers is None:
        threads = min(CORES_A_WORKER, *cores)
        return fit(cores, threads), threads
    threads = next((many for many in range(max(cores), 1, -1) if fit(cores, many) >= workers), 1)
    return min(workers, fit(cores, threads)), threads


def fit(cores: Sequence[int], threads: int) -> int:
    """Trials of so many threads that fit on machines with these cores."""
    return sum(each // threads for each in cores)
