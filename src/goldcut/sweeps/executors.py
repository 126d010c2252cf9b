"""Who carries trials out: one seam, and local processes behind it.

A trial that raises is an outcome like another. A worker that dies (killed, out of memory) loses its trial, and says so.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from traceback import extract_tb
from typing import Any

from goldcut.errors import GoldcutError
from goldcut.sweeps.trials import Trial

Work = Callable[[Trial, Path], list[dict[str, Any]]]
"""Carries out a trial in its run folder and returns the rows of its table; can be pickled."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

CORES_A_WORKER = 4
"""Cores for each worker where nobody says how many workers there are; the attacks of a trial share them."""

PATIENCE = 5.0
"""Seconds that a worker has to end before it is killed."""


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
    def start(self, id: str, trial: Trial, folder: Path) -> None:
        """Begin a trial; there must be capacity left."""

    @abstractmethod
    def wait(self, seconds: float) -> list[Outcome]:
        """What has ended, after so many seconds at most; may be nothing."""

    @abstractmethod
    def close(self) -> None:
        """Stop everything that is still going on."""


def attempt(work: Work, id: str, trial: Trial, folder: Path) -> Outcome:
    """Carry out a trial; whatever it raises becomes its outcome."""
    start = time.perf_counter()
    try:
        rows = work(trial, folder)
    except GoldcutError as error:
        return Outcome(id, error=str(error), seconds=time.perf_counter() - start)
    except Exception as error:
        place = extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
        return Outcome(id, error=said, seconds=time.perf_counter() - start)
    return Outcome(id, rows=rows, seconds=time.perf_counter() - start)


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


class LocalProcesses(Executor):
    """Fresh processes on this machine; one that dies is replaced.

    Args:
        work: What is done with a trial.
        workers: Processes.
        threads: Computing threads of each.
    """

    def __init__(self, work: Work, workers: int, threads: int) -> None:
        self._work, self._workers, self._threads = work, workers, threads
        self._crew: list[_Worker] = []

    @property
    def capacity(self) -> int:
        return self._workers

    def start(self, id: str, trial: Trial, folder: Path) -> None:
        self._crew = [worker for worker in self._crew if worker.task or worker.process.is_alive()]
        worker = next((worker for worker in self._crew if worker.task is None), None)
        if worker is None:
            worker = _Worker(self._work, self._threads)
            self._crew.append(worker)
        worker.give(id, trial, folder)

    def wait(self, seconds: float) -> list[Outcome]:
        busy = [worker for worker in self._crew if worker.task]
        connection.wait([one for worker in busy for one in (worker.pipe, worker.process.sentinel)], seconds)
        return [outcome for worker in busy if (outcome := worker.take())]

    def close(self) -> None:
        for worker in self._crew:
            if worker.task is None:
                worker.pipe.close()  # it ends by itself, tidily
            else:
                worker.process.terminate()
        for worker in self._crew:
            worker.end()
        self._crew = []


class _Worker:
    """A process and the trial that it has."""

    def __init__(self, work: Work, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.task: str | None = None
        with _threads_of_children(threads):
            self.process.start()
        theirs.close()

    def give(self, id: str, trial: Trial, folder: Path) -> None:
        self.task = id
        with contextlib.suppress(OSError):  # it has just died, and will be found dead
            self.pipe.send((id, trial, folder))

    def take(self) -> Outcome | None:
        """Its outcome, if it has ended."""
        id = self.task or ""
        try:
            if self.pipe.poll():
                outcome: Outcome = self.pipe.recv()
            elif self.process.is_alive():
                return None
            else:
                raise EOFError
        except (EOFError, OSError):
            self.end()
            outcome = Outcome(id, lost=_how_it_ended(self.process.exitcode))
        self.task = None
        return outcome

    def end(self) -> None:
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def _serve(pipe: connection.Connection, work: Work) -> None:
    """The life of a worker: trials come in, outcomes go out; it ends with the process that made it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            id, trial, folder = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(work, id, trial, folder))


def _end_with_parent() -> None:
    """So that nobody works in a run folder that the next sweep goes on with."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


@contextlib.contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """Processes that are started meanwhile compute with so many threads."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its worker was killed by signal {-code}"
    return f"its worker ended with code {code}"
