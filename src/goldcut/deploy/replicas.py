"""Replicas of the session in other processes or on other machines, asked as if it were here."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from goldcut.deploy.batcher import SMOOTHING, Batch, Computed
from goldcut.deploy.refusals import Refusal, closing, overloaded


class Response(Awaitable[Computed], Protocol):
    """An answer on its way."""

    def cancel(self) -> None:
        """Nobody waits for it any more."""


class Replicas:
    """An Engine whose sessions are elsewhere.

    It holds the bound on what waits and the deadlines, so that they do not depend on how many replicas there are at
    the moment. A request whose replica dies is refused as lost: a client may ask again, and nothing is asked twice
    without its knowledge.

    Args:
        send: Starts one request.
        gone: Errors of a request whose replica died.
        most_waiting: Rows that are on their way or at work, at most.
    """

    def __init__(
        self, send: Callable[[Batch], Response], gone: tuple[type[BaseException], ...], *, most_waiting: int
    ) -> None:
        self._send, self._gone, self._most_waiting = send, gone, most_waiting
        self._rows = 0
        self._closing = False
        self._row_seconds = 1e-3
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting_rows(self) -> int:
        """Rows that are on their way or at work."""
        return self._rows

    async def answer(self, z: Batch, seconds: float | None = None) -> Computed:
        """Send a request to the replica with the least to do and wait for its answer.

        Args:
            z: (rows, ...), checked.
            seconds: Until nobody waits for the answer any more.

        Raises:
            Refusal: Too much waits, the time is over, the server is closing, or the replica died.
        """
        if self._closing:
            raise closing()
        if self._rows + len(z) > self._most_waiting:
            raise overloaded(self._rows * self._row_seconds)
        if seconds is not None and seconds <= 0:
            raise Refusal("late", "the deadline passed before the request was taken up")
        self._rows += len(z)
        self._idle.clear()
        try:
            return await self._ask(z, seconds)
        finally:
            self._rows -= len(z)
            if not self._rows:
                self._idle.set()

    async def drain(self) -> None:
        """Take nothing more, and come back when everything that was sent is answered."""
        self._closing = True
        await self._idle.wait()

    async def _ask(self, z: Batch, seconds: float | None) -> Computed:
        started = time.monotonic()
        response = self._send(z)
        try:
            async with asyncio.timeout(seconds) as patience:
                computed = await response
        except self._gone as error:
            raise Refusal("lost", "the replica that had the request is gone; try again", retry_after=0.05) from error
        except (TimeoutError, asyncio.CancelledError):
            response.cancel()
            if patience.expired():
                raise Refusal("late", "the deadline passed while the request was with a replica") from None
            raise
        total = time.monotonic() - started
        self._row_seconds += SMOOTHING * (computed.computed / computed.rows - self._row_seconds)
        return replace(computed, waited=max(0.0, total - computed.computed))
