"""`goldcut serve` beside the same cloud half in process: latency, throughput, memory and time to be ready.

    python -m benchmarks.serve [--turns 9] [--seconds 1] [--clients 32]

Exports a ResNet-18 cut after layer2 at 64 px (32 KB of Z a request), serves its cloud half in a process of its own and
asks it with the stock client. The floor is onnxruntime with one thread in this process. Both are measured in turns of a
second; a figure is the median over the turns of the ratio within a turn, and its range stands beside it, so that
it means something on a machine that others use too. The load stands in the first line.

A lone caller has nothing else to do than wait, so it uses the client that blocks; what the one for asyncio takes for
the same request stands beside it. Many callers share one process, which only the latter can.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np

from benchmarks.serving import Served, serving
from goldcut.deploy.manifest import open_export
from goldcut.deploy.runtime import Half

BATCH = 16


@dataclass(frozen=True)
class Asker:
    """A request of one sample, by both of the stock clients of a transport."""

    block: Callable[[], object]
    ask: Callable[[], Awaitable[object]]
    close: Callable[[], Awaitable[None]]


def make_export(folder: Path) -> None:
    """ResNet-18 with random weights, cut after layer2."""
    from goldcut.deploy.export import export
    from goldcut.sources.models import load_model

    export(load_model("torchvision:resnet18", input_shape=(3, 64, 64)), "layer2", folder)


def time_alone(block: Callable[[], object], seconds: float) -> float:
    """Median seconds of a call."""
    single = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        block()
        single.append(time.perf_counter() - start)
    return statistics.median(single)


def time_floor(cloud: Half, z: np.ndarray, seconds: float) -> tuple[float, float]:
    """Median seconds of one sample, and samples a second in batches of 16, in process."""
    single, rows = time_alone(lambda: cloud(z[:1]), seconds), 0
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        cloud(z)
        rows += len(z)
    return single, rows / (time.perf_counter() - start)


def grpc_asker(served: Served, z: np.ndarray) -> Asker:
    """Over gRPC."""
    import tritonclient.grpc as kind
    import tritonclient.grpc.aio as aio

    alone, client = kind.InferenceServerClient(served.grpc), aio.InferenceServerClient(served.grpc)
    value = kind.InferInput("z", list(z[:1].shape), "FP32")
    value.set_data_from_numpy(z[:1])
    return Asker(lambda: alone.infer("resnet18", [value]), lambda: client.infer("resnet18", [value]), client.close)


def http_asker(served: Served, z: np.ndarray) -> Asker:
    """Over HTTP with binary tensors."""
    import tritonclient.http as kind
    import tritonclient.http.aio as aio

    alone, client = kind.InferenceServerClient(served.http), aio.InferenceServerClient(served.http, conn_limit=256)
    value = kind.InferInput("z", list(z[:1].shape), "FP32")
    value.set_data_from_numpy(z[:1], binary_data=True)
    outputs = [kind.InferRequestedOutput("logits", binary_data=True)]
    return Asker(
        lambda: alone.infer("resnet18", [value], outputs=outputs),
        lambda: client.infer("resnet18", [value], outputs=outputs),
        client.close,
    )


async def time_server(ask: Callable[[], Awaitable[object]], seconds: float, clients: int) -> tuple[float, float]:
    """Median seconds of a lone client, and answers a second of many."""
    single = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        await ask()
        single.append(time.perf_counter() - start)
    start = time.perf_counter()
    counts = [0] * clients

    async def work(turn: int) -> None:
        while time.perf_counter() < start + seconds:
            await ask()
            counts[turn] += 1

    await asyncio.gather(*(work(turn) for turn in range(clients)))
    return statistics.median(single), sum(counts) / (time.perf_counter() - start)


async def take_turns(
    connect: Callable[[], Asker], cloud: Half, z: np.ndarray, turns: int, seconds: float, clients: int
) -> np.ndarray:
    """(turns, 5): seconds of the floor and of a lone client, blocking and not; samples a second of floor and server."""
    asker = connect()
    await time_server(asker.ask, seconds, clients)
    found = []
    for _ in range(turns):
        floor, batches = time_floor(cloud, z, seconds)
        blocking = time_alone(asker.block, seconds)
        waiting, rate = await time_server(asker.ask, seconds, clients)
        found.append((floor, blocking, waiting, batches, rate))
    await asker.close()
    return np.array(found)


def middle(values: np.ndarray) -> list[float]:
    """Median, least and most."""
    return [round(float(value), 2) for value in (np.median(values), values.min(), values.max())]


def resident_mb(pid: int) -> float:
    """Resident memory of a process, MB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1e3


@click.command()
@click.option("--turns", type=int, default=9, show_default=True)
@click.option("--seconds", type=float, default=1.0, show_default=True, help="Of each measurement.")
@click.option("--clients", type=int, default=32, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Use the export in this folder, or make it there.")
def main(turns: int, seconds: float, clients: int, folder: Path | None) -> None:
    """Measure, and print one JSON line a transport."""
    print(json.dumps({"benchmark": "machine", "cores": os.cpu_count(), "load": os.getloadavg()}), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = folder or Path(scratch) / "export"
        if not folder.exists():
            make_export(folder)
        export = open_export(folder)
        cloud = export.open_cloud()
        z = np.abs(np.random.default_rng(0).normal(size=(BATCH, *export.manifest.z_shape))).astype(np.float32)
        start = time.perf_counter()
        with serving(folder, Path(scratch) / "log", "--log-level", "warning") as served:
            ready = time.perf_counter() - start
            for name, asker in (("grpc", grpc_asker), ("rest", http_asker)):
                found = asyncio.run(take_turns(partial(asker, served, z), cloud, z, turns, seconds, clients))
                print(
                    json.dumps(
                        {
                            "benchmark": f"serve {name}",
                            "batch-1 p50 / floor": middle(found[:, 1] / found[:, 0]),
                            "the same with asyncio": middle(found[:, 2] / found[:, 0]),
                            f"rate at {clients} clients / floor": middle(found[:, 4] / found[:, 3]),
                            "floor_ms": middle(found[:, 0] * 1e3),
                            "p50_ms": middle(found[:, 1] * 1e3),
                            "floor_rate": middle(found[:, 3]),
                            "rate": middle(found[:, 4]),
                            "resident_mb": round(resident_mb(served.process.pid)),
                            "ready_s": round(ready, 2),
                            "load": round(os.getloadavg()[0], 2),
                        }
                    ),
                    flush=True,
                )


if __name__ == "__main__":
    main()
