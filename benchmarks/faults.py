"""Faults under load: a worker killed, a worker told to stop, clients that cancel, and a long run.

    python -m benchmarks.faults [--clients 8 --clients 32] [--seconds 6] [--soak 600] [--folder EXPORT]

Two workers serve the export of `benchmarks.serve` in processes of their own. Clients that never try again show which
requests a fault costs; `goldcut.EdgeClient` shows what its user sees. Every answer is compared with the cloud half in
process. Prints one JSON line a case and ends with 1 where one is not as promised: `broken` names the promise.
"""

import asyncio
import json
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import click
import grpc
import numpy as np

from benchmarks.serve import make_export, resident_mb
from benchmarks.serving import Served, serving
from goldcut.deploy.client import EdgeClient
from goldcut.deploy.manifest import Export, open_export
from goldcut.deploy.synthetic import as_floats, synthetic_images
from goldcut.errors import GoldcutError
from goldcut.wire.messages import MESSAGES, SERVICE

PATTERNS = 32
CLOSE = 1e-3
"""Largest difference of a right answer, in deviations of the logits: batches of other sizes round otherwise."""

WINDOW, BACK, MOST_SECONDS = 0.5, 0.8, 2.0
"""The throughput is back when this many seconds bring this share of the answers of before; in how many seconds."""

WARM_SECONDS = 10.0
MOST_GROWTH_MB = 10.0


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
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 50)]
        channel = await held.enter_async_context(grpc.aio.insecure_channel(self.served.grpc, options=options))
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        requests = [self._request(row) for row in self.z]

        async def ask(pattern: int) -> np.ndarray:
            answer = MESSAGES["ModelInferResponse"].FromString(
                await call(requests[pattern], timeout=30, wait_for_ready=True)
            )
            return np.frombuffer(answer.raw_output_contents[0], np.float32)

        return ask

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


def workers(served: Served) -> list[int]:
    """Process ids of the workers that are ready, the oldest first; those that ended left out."""
    lines = [json.loads(line) for line in served.log().splitlines()]
    ended = {line["pid"] for line in lines if line["event"] == "worker ended"}
    return [line["pid"] for line in lines if line["event"] == "ready" and line["pid"] not in ended]


def answered(served: Served) -> int:
    """Requests that the servers say they answered."""
    return served.log().count('"outcome": "answered"')


def report(case: str, calls: list[Call], broken: list[str], **more: object) -> bool:
    """Print the line of a case; gives whether every promise was kept."""
    outcomes = dict(Counter(call.outcome for call in calls))
    slowest = round(max((call.end - call.start for call in calls), default=0.0), 2)
    line = {"benchmark": f"faults {case}", **more, "outcomes": outcomes, "slowest_s": slowest}
    line["load"] = round(os.getloadavg()[0], 2)
    print(json.dumps({**line, "broken": broken}), flush=True)
    return not broken


def flat(clients: list[list[Call]]) -> list[Call]:
    """The calls of all clients."""
    return [call for calls in clients for call in calls]


def kept(promises: dict[str, bool]) -> list[str]:
    """The promises that were not kept."""
    return [name for name, holds in promises.items() if not holds]


def only_right(calls: list[Call]) -> dict[str, bool]:
    """What a user is promised: every request is answered, and rightly."""
    return {"every request answered rightly": bool(calls) and all(call.outcome == "right" for call in calls)}


# --- cases: each serves anew, and gives whether its promises were kept -----------------------------------


def worker_killed(load: Load, clients: int, seconds: float) -> bool:
    """kill -9 of one of two workers, without and with the client's retries."""
    victim, since = workers(load.served)[0], time.monotonic()
    found, at = asyncio.run(load.run([load.bare] * clients, seconds, lambda: os.kill(victim, signal.SIGKILL)))
    calls = flat(found)
    lost = [call for call in calls if call.outcome != "right"]
    back = back_after(calls, at, since)
    promises = {
        "a fault was seen": bool(lost),
        "no more fail than there are connections": len(lost) <= clients,
        "none that began half a second after the end of the worker": all(
            at <= c.end and c.start < at + 0.5 for c in lost
        ),
        "throughput back in 2 s": back is not None and back < MOST_SECONDS,
        "the worker is replaced": replaced(load.served, victim),
    }
    good = report(f"kill -9, {clients} bare clients", calls, kept(promises), back_s=back and round(back, 2))
    victim = workers(load.served)[0]
    found, _ = asyncio.run(load.run([load.retrying] * clients, seconds, lambda: os.kill(victim, signal.SIGKILL)))
    users = flat(found)
    return report(f"kill -9, {clients} EdgeClients", users, kept(only_right(users))) and good


def replaced(served: Served, victim: int) -> bool:
    """Whether there are two workers again without the one that a fault hit; waited for."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = workers(served)
        if len(found) == 2 and victim not in found:
            return True
        time.sleep(0.05)
    return False


def worker_stopped(load: Load, clients: int, seconds: float) -> bool:
    """SIGTERM to one of two workers: what was taken is answered, and the user's client sees nothing."""
    victim, before = workers(load.served)[0], answered(load.served)
    found, _ = asyncio.run(load.run([load.bare] * clients, seconds, lambda: os.kill(victim, signal.SIGTERM)))
    calls = flat(found)
    again = replaced(load.served, victim)
    right = sum(call.outcome == "right" for call in calls)
    promises = {
        "what was taken is answered": answered(load.served) - before == right,
        "the worker is replaced": again,
        "what is refused may be asked again": {call.outcome for call in calls} <= {"right", "UNAVAILABLE", "CANCELLED"},
    }
    good = report(f"SIGTERM, {clients} bare clients", calls, kept(promises))
    victim = workers(load.served)[0]
    found, _ = asyncio.run(load.run([load.retrying] * clients, seconds, lambda: os.kill(victim, signal.SIGTERM)))
    users = flat(found)
    return report(f"SIGTERM, {clients} EdgeClients", users, kept(only_right(users))) and good


def cancels(load: Load, clients: int, seconds: float) -> bool:
    """Half of the clients lose patience again and again; the others get all their answers."""
    rude, calm = clients // 2, clients - clients // 2
    found, _ = asyncio.run(load.run([load.cancelling] * rude + [load.bare] * calm, seconds, lambda: None))
    cancelled = sum(call.outcome == "cancelled" for call in flat(found[:rude]))
    calls = flat(found[rude:])
    promises = {**only_right(calls), "some were cancelled": cancelled > 0}
    return report(f"cancels, {rude} of {clients} clients", calls, kept(promises), cancelled=cancelled)


def soak(load: Load, clients: int, seconds: float) -> bool:
    """A long run: memory at its begin and at its end."""
    asyncio.run(load.run([load.bare] * clients, WARM_SECONDS, lambda: None))
    pids = workers(load.served)
    before = [resident_mb(pid) for pid in pids]
    found, _ = asyncio.run(load.run([load.bare] * clients, seconds, lambda: None))
    after = [resident_mb(pid) for pid in pids]
    calls = flat(found)
    growth = max(end - begin for begin, end in zip(before, after, strict=True))
    promises = {**only_right(calls), f"less than {MOST_GROWTH_MB:g} MB more": growth < MOST_GROWTH_MB}
    memory = {"mb_before": [round(one) for one in before], "mb_after": [round(one) for one in after]}
    return report(f"soak of {seconds:g} s, {clients} clients", calls, kept(promises), **memory)


CASES = (worker_killed, worker_stopped, cancels)


@click.command()
@click.option("--clients", type=int, multiple=True, default=(8, 32), show_default=True)
@click.option("--seconds", type=float, default=6.0, show_default=True, help="Of a case; the fault comes half way.")
@click.option("--soak", "soak_seconds", type=float, default=600.0, show_default=True, help="0 leaves it out.")
@click.option("--folder", type=click.Path(path_type=Path), help="Use the export in this folder, or make it there.")
def main(clients: tuple[int, ...], seconds: float, soak_seconds: float, folder: Path | None) -> None:
    """Carry out every case, and end with 1 where a promise was broken."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = folder or Path(scratch) / "export"
        if not folder.exists():
            make_export(folder)
        export = open_export(folder)
        good = True
        plan = [(case, count, seconds) for count in clients for case in CASES]
        if soak_seconds:
            plan.append((soak, max(clients), soak_seconds))
        for turn, (case, count, length) in enumerate(plan):
            with serving(folder, Path(scratch) / f"log{turn}", "--workers", "2") as served:
                good = case(Load(export, served), count, length) and good
                served.stop()
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
