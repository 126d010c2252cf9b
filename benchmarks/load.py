"""What clients send while something is broken on purpose, what comes back, and what may be expected of it."""

import asyncio
import os
import select
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc
import numpy as np

from benchmarks.serving import Served
from goldcut.deploy.client import EdgeClient
from goldcut.deploy.manifest import Export
from goldcut.deploy.synthetic import as_floats, synthetic_images
from goldcut.errors import GoldcutError
from goldcut.wire.messages import MESSAGES, SERVICE

PATTERNS = 32
CLOSE = 1e-3
"""Largest difference of a right answer, in deviations of the logits: batches of other sizes round otherwise."""

WINDOW, BACK = 0.5, 0.8
"""The throughput is back when this many seconds bring this share of the answers of before."""


@dataclass(frozen=True)
class Call:
    """One request: when, and "right", "wrong", "cancelled" by the client, or why there is no answer."""

    start: float
    end: float
    outcome: str


Ask = Callable[[int], Awaitable[np.ndarray]]


class Load:
    """What the clients of one case send, and what comes back.

    Args:
        export: Whose halves are asked.
        served: Where.
    """

    def __init__(self, export: Export, served: Served) -> None:
        self.export, self.served = export, served
        self.images = as_floats(synthetic_images(PATTERNS, export.manifest.preprocessing.shape))
        self.z = export.open_edge()(self.images)
        self.logits = export.open_cloud()(self.z)

    def right(self, pattern: int, logits: np.ndarray) -> bool:
        """Whether an answer is that of its own request."""
        return bool(np.abs(logits - self.logits[pattern]).max() <= CLOSE * self.logits.std())

    async def bare(self, held: AsyncExitStack) -> Ask:
        """A client with a connection of its own that sends nothing twice; without one it waits for the next.

        (gRPC itself moves a request to the next connection only where no byte of it has left.)
        """
        channel = await held.enter_async_context(self._open())
        return lambda pattern: self._ask(channel, pattern)

    async def reconnecting(self, held: AsyncExitStack) -> Ask:
        """The same, with a new connection after a failure.

        A channel of gRPC puts the next request or two on the dead connection while it is closing it, for about a
        millisecond: they fail without having reached any server, and say nothing of one.
        """
        channel = [self._open()]
        held.push_async_callback(lambda: channel[0].close())

        async def ask(pattern: int) -> np.ndarray:
            try:
                return await self._ask(channel[0], pattern)
            except grpc.aio.AioRpcError:
                await channel[0].close()
                channel[0] = self._open()
                raise

        return ask

    def _open(self) -> grpc.aio.Channel:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 50)]
        return grpc.aio.insecure_channel(self.served.grpc, options=options)

    async def _ask(self, channel: grpc.aio.Channel, pattern: int) -> np.ndarray:
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        content = await call(self._request(self.z[pattern]), timeout=30, wait_for_ready=True)
        return np.frombuffer(MESSAGES["ModelInferResponse"].FromString(content).raw_output_contents[0], np.float32)

    async def retrying(self, held: AsyncExitStack) -> Ask:
        """The user's client."""
        client = await held.enter_async_context(EdgeClient(self.export.folder, f"grpc://{self.served.grpc}"))

        async def ask(pattern: int) -> np.ndarray:
            logits: np.ndarray = (await client.infer_async(self.images[pattern : pattern + 1])).logits[0]
            return logits

        return ask

    async def cancelling(self, held: AsyncExitStack) -> Ask:
        """A client that loses patience at any moment of a request."""
        ask, chance = await self.bare(held), np.random.default_rng(0)

        async def impatient(pattern: int) -> np.ndarray:
            return await asyncio.wait_for(ask(pattern), chance.uniform(0, 0.1))

        return impatient

    def _request(self, row: np.ndarray) -> bytes:
        manifest = self.export.manifest
        message = MESSAGES["ModelInferRequest"](model_name=manifest.model_name, raw_input_contents=[row.tobytes()])
        message.inputs.add(name="z", datatype="FP32", shape=(1, *manifest.z_shape))
        content: bytes = message.SerializeToString()
        return content

    async def run(
        self, kinds: list[Callable[[AsyncExitStack], Awaitable[Ask]]], seconds: float, act: Callable[[], None]
    ) -> tuple[list[list[Call]], float]:
        """The calls of each client, and when `act` was called: half way."""
        async with AsyncExitStack() as held:
            asks = [await kind(held) for kind in kinds]
            until = time.monotonic() + seconds
            work = [asyncio.create_task(self._work(ask, turn, until)) for turn, ask in enumerate(asks)]
            await asyncio.sleep(seconds / 2)
            at = time.monotonic()
            act()
            return await asyncio.gather(*work), at

    async def _work(self, ask: Ask, turn: int, until: float) -> list[Call]:
        calls: list[Call] = []
        while (start := time.monotonic()) < until:
            pattern = (turn * 7 + len(calls)) % PATTERNS
            try:
                outcome = "right" if self.right(pattern, await ask(pattern)) else "wrong"
            except TimeoutError:
                outcome = "cancelled"
            except grpc.aio.AioRpcError as error:
                outcome = error.code().name
            except GoldcutError as error:
                outcome = type(error).__name__
            calls.append(Call(start, time.monotonic(), outcome))
        return calls


def back_after(calls: list[Call], at: float, since: float) -> float | None:
    """Seconds from the fault until the throughput is back; None where it is not."""
    ends = np.sort([call.end for call in calls if call.outcome == "right"])
    before = np.count_nonzero(ends < at) / (at - since)
    for end in ends[ends >= at]:
        if np.count_nonzero((ends >= end) & (ends < end + WINDOW)) >= BACK * before * WINDOW:
            return float(end - at)
    return None


class Kill:
    """kill -9 of a process, when it is called, and the moment in which the kernel says that it is gone.

    Args:
        pid: Of any process of ours.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = os.pidfd_open(pid)
        self._gone = 0.0
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()

    def __call__(self) -> None:
        signal.pidfd_send_signal(self._process, signal.SIGKILL)

    @property
    def gone(self) -> float:
        """time.monotonic() of its end; waited for."""
        self._watcher.join()
        return self._gone

    def _watch(self) -> None:
        watched = select.poll()
        watched.register(self._process, select.POLLIN)
        watched.poll()
        self._gone = time.monotonic()
        os.close(self._process)


def flat(clients: list[list[Call]]) -> list[Call]:
    """The calls of all clients."""
    return [call for calls in clients for call in calls]


def kept(promises: dict[str, bool]) -> list[str]:
    """The promises that were not kept."""
    return [name for name, holds in promises.items() if not holds]


def only_right(calls: list[Call]) -> dict[str, bool]:
    """What a user is promised: every request is answered, and rightly."""
    return {"every request answered rightly": bool(calls) and all(call.outcome == "right" for call in calls)}


def only_in_flight(clients: list[list[Call]], at: float, gone: float) -> dict[str, bool]:
    """What a fault may cost clients that send nothing twice.

    Args:
        clients: The calls of each, one connection a client.
        at: When the signal was sent.
        gone: When the process was gone.
    """
    lost = [[call for call in calls if call.outcome != "right"] for calls in clients]
    return {
        "a fault was seen": any(lost),
        "at most one request of a connection fails": all(len(calls) <= 1 for calls in lost),
        "only what was in flight at the end of the process": all(
            call.start <= gone and call.end >= at for call in flat(lost)
        ),
    }
