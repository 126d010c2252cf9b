"""Requests of many clients through one session: no wait when idle, one batch of what came while it was busy.

The queue is bounded, so that an overloaded server says so at once. Requests whose client has gone or whose deadline
has passed are left out of a batch. A batch that fails is run again row by row, so that no request fails for another.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np
from jaxtyping import Float

from goldcut.deploy.refusals import Refusal, closing, overloaded

Batch = Float[np.ndarray, "b ..."]
SMOOTHING = 0.1


@dataclass(frozen=True, eq=False)
class Computed:
    """What came out for one request.

    Attributes:
        logits: (rows, ...).
        waited: Seconds in the queue.
        computed: Seconds of the batch that it was in.
        rows: Rows of that batch.
        replica: Host and process that computed it; empty for this one.
    """

    logits: Batch
    waited: float
    computed: float
    rows: int
    replica: str = ""


@dataclass(eq=False)
class _Waiting:
    z: Batch
    answer: asyncio.Future[Computed]
    since: float
    deadline: float | None
    started: float = field(default=0.0)


class Batcher:
    """One session, one thread for it, and the queue before it; lives on one event loop.

    Args:
        run: A batch in, the answers out; called in a thread of its own.
        most_rows: Rows of a batch at most.
        most_waiting: Rows in the queue at most.
    """

    def __init__(self, run: Callable[[Batch], Batch], *, most_rows: int, most_waiting: int) -> None:
        self._run = run
        self._most_rows, self._most_waiting = most_rows, most_waiting
        self._queue: deque[_Waiting] = deque()
        self._waiting_rows = 0
        self._busy = False
        self._closing = False
        self._row_seconds = 1e-3
        self._idle = asyncio.Event()
        self._idle.set()
        self._lock = threading.Lock()  # held where the queue, its rows or `_busy` change
        self._wake: SimpleQueue[tuple[asyncio.AbstractEventLoop, _Waiting] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="cloud", daemon=True)
        self._thread.start()

    @property
    def waiting_rows(self) -> int:
        """Rows in the queue."""
        return self._waiting_rows

    async def answer(self, z: Batch, seconds: float | None = None) -> Computed:
        """Put a request into the queue and wait for its answer.

        Args:
            z: (rows, ...), checked.
            seconds: Until nobody waits for the answer any more.

        Raises:
            Refusal: The queue is full, the time is over, or the server is closing.
        """
        loop = asyncio.get_running_loop()
        if self._closing:
            raise closing()
        if self._waiting_rows + len(z) > self._most_waiting:
            raise overloaded(self._waiting_rows * self._row_seconds)
        now = time.monotonic()
        if seconds is not None and seconds <= 0:
            raise Refusal("late", "the deadline passed before the request was taken up")
        deadline = None if seconds is None else now + seconds
        waiting = _Waiting(z, loop.create_future(), now, deadline)
        self._idle.clear()
        with self._lock:
            idle, self._busy = not self._busy, True
            if not idle:
                self._queue.append(waiting)
                self._waiting_rows += len(z)
        if idle:
            self._wake.put((loop, waiting))
        return await waiting.answer

    async def drain(self) -> None:
        """Take nothing more, and come back when everything in the queue is answered."""
        self._closing = True
        await self._idle.wait()
        self._wake.put(None)
        self._thread.join()

    def _work(self) -> None:
        """The thread: one batch after the other, without waiting for the event loop in between."""
        while (woken := self._wake.get()) is not None:
            loop, first = woken
            with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits any more
                batch = [first] if self._is_wanted(first, loop) else self._take(loop)
                if not batch:
                    loop.call_soon_threadsafe(self._rest)
                while batch:
                    answers = self._compute([one.z for one in batch])
                    done, batch = batch, self._take(loop)
                    loop.call_soon_threadsafe(self._finish, done, answers)

    def _take(self, loop: asyncio.AbstractEventLoop) -> list[_Waiting]:
        """Requests for one batch, without those for which nobody waits; with none, the thread is no longer busy."""
        batch: list[_Waiting] = []
        rows = 0
        with self._lock:
            while self._queue and (not batch or rows + len(self._queue[0].z) <= self._most_rows):
                one = self._queue.popleft()
                self._waiting_rows -= len(one.z)
                if self._is_wanted(one, loop):
                    batch.append(one)
                    rows += len(one.z)
            self._busy = bool(batch)
        return batch

    def _is_wanted(self, one: _Waiting, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether somebody still waits for the answer; its work begins now."""
        one.started = time.monotonic()
        if one.deadline is not None and one.deadline <= one.started:
            loop.call_soon_threadsafe(self._refuse_late, one)
            return False
        return not one.answer.done()

    def _compute(self, parts: list[Batch]) -> list[Batch | Exception]:
        """The answers of several requests, in the thread."""
        try:
            if len(parts) == 1:
                return [self._run(parts[0])]
            answers = self._run(np.concatenate(parts))
            return list(np.split(answers, np.cumsum([len(part) for part in parts])[:-1]))
        except Exception as error:
            return [error] if len(parts) == 1 else [self._compute([part])[0] for part in parts]

    def _finish(self, batch: list[_Waiting], answers: list[Batch | Exception]) -> None:
        """Hand the answers out."""
        now = time.monotonic()
        rows = sum(len(one.z) for one in batch)
        seconds = now - batch[0].started
        self._row_seconds += SMOOTHING * (seconds / rows - self._row_seconds)
        for one, answer in zip(batch, answers, strict=True):
            if one.answer.done():
                continue
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(Computed(answer, one.started - one.since, seconds, rows))
        self._rest()

    def _refuse_late(self, one: _Waiting) -> None:
        if not one.answer.done():
            one.answer.set_exception(Refusal("late", "the deadline passed while the request waited in the queue"))

    def _rest(self) -> None:
        """Everything is answered, unless a request came meanwhile."""
        if not self._busy:
            self._idle.set()
