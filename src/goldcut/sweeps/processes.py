"""Trials in fresh processes on this machine."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from goldcut.sweeps.executors import THREAD_VARIABLES, Executor, Outcome, Work, attempt

PATIENCE = 5.0
"""Seconds that a worker has to end before it is killed."""


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

    def start(self, id: str, task: Any, folder: Path) -> None:
        self._crew = [worker for worker in self._crew if worker.task or worker.process.is_alive()]
        worker = next((worker for worker in self._crew if worker.task is None), None)
        if worker is None:
            worker = _Worker(self._work, self._threads)
            self._crew.append(worker)
        worker.give(id, task, folder)

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

    def give(self, id: str, task: Any, folder: Path) -> None:
        self.task = id
        with contextlib.suppress(OSError):  # it has just died, and will be found dead
            self.pipe.send((id, task, folder))

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
            id, task, folder = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(work, id, task, folder))


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
