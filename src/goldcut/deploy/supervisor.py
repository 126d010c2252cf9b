"""Several workers on the same ports: a killed one is replaced, and all drain when the supervisor is told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace

from goldcut.deploy.metrics import FOLDER, load_prometheus
from goldcut.deploy.server import Place
from goldcut.deploy.service import LOG
from goldcut.errors import DeployError

FEW_SECONDS = 5.0
MOST_FAILURES = 5
"""A worker that dies so often in a row before it is ready, or within a few seconds of that, is not started again."""


def run_workers(
    arguments: Sequence[str], workers: int, place: Place, told: Callable[[str], None], *, scheme: str = ""
) -> None:
    """Serve with several processes until SIGTERM or SIGINT.

    Args:
        arguments: Of `goldcut serve`, without ports and workers.
        workers: How many.
        place: Where; a port of 0 is chosen once for all workers.
        told: Given the line that says where they listen, once all are ready.
        scheme: "s" for TLS.

    Raises:
        DeployError: A port is taken, or a worker does not start.
    """
    with contextlib.ExitStack() as held, tempfile.TemporaryDirectory(prefix="goldcut-metrics.") as counts:
        port = _reserve(held, place.host, place.port, "--port")
        http_port = _reserve(held, place.host, place.http_port, "--http-port")
        command = [
            *(sys.executable, "-m", "goldcut", "serve", *arguments),
            *("--port", str(port), "--http-port", str(http_port)),
            *("--worker-of", str(os.getpid())),
        ]
        environment = {**os.environ, FOLDER: counts}
        line = f"ready grpc{scheme}://{place.host}:{port} http{scheme}://{place.host}:{http_port}"
        asyncio.run(_Crew(command, environment, workers).run(lambda: told(line)))


def as_worker(place: Place, parent: int) -> Place:
    """The place of a worker among several."""
    return replace(place, shared=True, parent=parent)


class _Crew:
    def __init__(self, command: list[str], environment: dict[str, str], workers: int) -> None:
        self._command, self._environment, self._workers = command, environment, workers
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._stopping = asyncio.Event()
        self._failed: DeployError | None = None
        self._told = False

    async def run(self, told: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        async with asyncio.TaskGroup() as group:
            for slot in range(self._workers):
                group.create_task(self._keep(slot, told))
        if self._failed is not None:
            raise self._failed

    def _stop(self) -> None:
        self._stopping.set()
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    async def _keep(self, slot: int, told: Callable[[], None]) -> None:
        """One worker, started again whenever it ends before it is told to."""
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stopping.is_set():
            process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdout=asyncio.subprocess.PIPE
            )
            self._running[slot] = process
            if self._stopping.is_set():
                process.terminate()
            assert process.stdout is not None
            is_ready = bool(await process.stdout.readline())
            since = loop.time()
            if is_ready:
                self._ready.add(slot)
                if len(self._ready) == self._workers and not self._told:
                    self._told = True
                    told()
            code = await process.wait()
            load_prometheus().multiprocess.mark_process_dead(process.pid, self._environment[FOLDER])
            del self._running[slot]
            if self._stopping.is_set():
                return
            failures = 0 if is_ready and loop.time() - since >= FEW_SECONDS else failures + 1
            LOG.warning("worker ended", extra={"fields": {"pid": process.pid, "code": code, "worker": slot}})
            if failures >= MOST_FAILURES or slot not in self._ready:
                self._failed = DeployError(f"a worker ends with code {code} as soon as it starts", "See its log.")
                self._stop()
                return


def _reserve(held: contextlib.ExitStack, host: str, port: int, flag: str) -> int:
    """Hold a port for all workers without listening on it.

    Raises:
        DeployError: It is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:  # another server on it is seen without REUSEPORT
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            number: int = probe.getsockname()[1]
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, number))
    except OSError as error:
        raise DeployError(
            f"{host}:{port} cannot be listened on: {error.strerror}", f"Free it, or give {flag}."
        ) from error
    return number
