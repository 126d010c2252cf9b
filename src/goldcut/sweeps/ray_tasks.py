"""Trials as tasks of a Ray cluster.

Ray is never left to repeat a task: one whose worker or node dies is told as lost, and the store decides. All machines
see the folders under one path, which is checked before anything runs, and again by each task. What a killed command
leaves running ends with its job; until then it holds the lock of its run folder.
"""

import importlib.metadata
import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from goldcut.errors import MissingExtra, SweepError
from goldcut.sweeps.executors import (
    THREAD_VARIABLES,
    Executor,
    Outcome,
    Work,
    attempt,
    count_cores,
    fit,
    share_nodes,
)

LOCAL = "local"
"""The address that starts Ray on this machine, for as long as the command lasts."""

START = "Start one with `ray start --head` and give its HOST:PORT, or write --cluster local."

KNOCK_SECONDS = 5.0
"""Seconds that a cluster has to answer at its address."""

LOOK_SECONDS = 120.0
"""Seconds that a machine has to start a first worker."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Environment in which Ray is imported and started: nothing is sent to its makers, nothing is printed."""


STORE_BYTES = 128 * 2**20
"""Of the object store of a Ray that is started here; tables of trials are small."""


class RayTasks(Executor):
    """Tasks of a Ray cluster, each with as many cores as it has threads.

    Args:
        work: What is done with a task; goldcut is installed on every machine.
        address: HOST:PORT or "auto" for a cluster that runs on this machine too, or "local".
        folder: Where run folders are made; all machines must see it.
        workers: Tasks at once; None for as many as fit.
        gpus: Graphics processors of each task.

    Raises:
        MissingExtra: Ray is not installed.
        SweepError: The cluster cannot be used, and why.
    """

    def __init__(self, work: Work, address: str, folder: Path, *, workers: int | None = None, gpus: int = 0) -> None:
        self._ray = _import_ray(alone=address == LOCAL)
        self._workers, self._gpus = workers, gpus
        self._tasks: dict[Any, str] = {}
        self._held = ExitStack()
        try:
            _connect(self._ray, address, self._held)
            cores = self._cores()
            if not cores:
                raise SweepError(f"no machine of the cluster {address} has cores for a trial", "Add one to it.")
            _, self.threads = share_nodes(list(cores.values()), workers)
            self._options = {
                "max_retries": 0,
                "runtime_env": {"env_vars": dict.fromkeys(THREAD_VARIABLES, str(self.threads))},
            }
            self._place = make_place(folder)
            self._held.callback(self._place.token.unlink, missing_ok=True)
            self._look(list(cores))
            self._remote = self._ray.remote(num_cpus=self.threads, num_gpus=gpus, **self._options)(carry)
            self._work = self._ray.put(work)
        except BaseException:
            self.close()
            raise

    @property
    def capacity(self) -> int:
        """Tasks that fit now; at least one, which waits when the cluster has lost its machines."""
        fitting = max(1, fit(list(self._cores().values()), self.threads))
        return min(self._workers or fitting, fitting)

    def start(self, id: str, task: Any, folder: Path) -> None:
        self._tasks[self._remote.remote(self._work, id, task, folder.absolute(), self._place)] = id

    def wait(self, seconds: float) -> list[Outcome]:
        ended, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=seconds)
        return [self._take(each, self._tasks.pop(each)) for each in ended]

    def close(self) -> None:
        for each in self._tasks:
            self._ray.cancel(each, force=True)
        self._tasks = {}
        self._held.close()

    def _cores(self) -> dict[str, int]:
        """Machines that are there and can take tasks: name in Ray -> whole cores."""
        found = {}
        for node in self._ray.nodes():
            has = node["Resources"]
            if node["Alive"] and has.get("CPU", 0) >= 1 and has.get("GPU", 0) >= self._gpus:
                found[node["NodeID"]] = int(has["CPU"])
        return found

    def _take(self, ended: Any, id: str) -> Outcome:
        errors = self._ray.exceptions
        try:
            outcome: Outcome = self._ray.get(ended)
        except errors.RayTaskError as error:  # not of the task, which keeps its own: its arguments could not be read
            return Outcome(id, error=_first_line(error.cause or error))
        except errors.RayError as error:
            return Outcome(id, lost=_how_it_ended(error))
        return outcome

    def _look(self, nodes: list[str]) -> None:
        """Have each machine look for the shared folder.

        Raises:
            SweepError: One of them cannot begin a trial.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        looks = [
            self._ray.remote(
                num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False), **self._options
            )(look).remote(self._place)
            for node in nodes
        ]
        try:
            found = self._ray.get(looks, timeout=LOOK_SECONDS)
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            raise SweepError(
                f"a machine of the cluster cannot begin a trial: {_first_line(cause)}",
                "Install goldcut there, in the same version.",
            ) from error
        if problem := next(filter(None, found), None):
            raise SweepError(problem, "Give every machine the same goldcut and the same folders.")


@dataclass(frozen=True)
class Place:
    """Where a sweep works, under the same path on all machines.

    Attributes:
        home: Folder in which the command was given; relative paths begin there.
        token: A file that the command has written.
        word: What it holds.
        version: Of goldcut.
    """

    home: Path
    token: Path
    word: str
    version: str


def make_place(folder: Path) -> Place:
    """Write the token into the folder.

    Raises:
        SweepError: It cannot be written.
    """
    word = token_hex(16)
    token = folder.absolute() / f".shared-{word[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        token.write_text(word)
    except OSError as error:
        raise SweepError(f"{folder} cannot be written: {error.strerror}", "Give another --out.") from error
    return Place(Path.cwd(), token, word, importlib.metadata.version("goldcut"))


def look(place: Place) -> str | None:
    """What is wrong with this machine, in words."""
    here = socket.gethostname()
    version = importlib.metadata.version("goldcut")
    if version != place.version:
        return f"{here} has goldcut {version}, and the command is {place.version}"
    try:
        if place.token.read_text() == place.word:
            os.chdir(place.home)
            return None
    except OSError:
        pass
    return f"{here} does not share {place.token.parent} and {place.home} with the command"


def carry(work: Work, id: str, task: Any, folder: Path, place: Place) -> Outcome:
    """The life of a task."""
    if problem := look(place):
        return Outcome(id, error=problem)
    return attempt(work, id, task, folder)


def _import_ray(*, alone: bool) -> ModuleType:
    """Ray; for this machine alone with a key that nobody else has, which it reads once, when it is imported first.

    Raises:
        MissingExtra: It is not installed.
    """
    if alone and "ray" not in sys.modules:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token_hex(32))
    try:
        with _environment(QUIET):
            import ray
    except ImportError as error:
        raise MissingExtra("ray", "cluster") from error
    module: ModuleType = ray
    return module


def _connect(ray: ModuleType, address: str, held: ExitStack) -> None:
    """Join a cluster, or start one for this machine alone; both end with `held`.

    Raises:
        SweepError: None is there.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == LOCAL:
        folder = held.enter_context(TemporaryDirectory(prefix="goldcut-ray.", ignore_cleanup_errors=True))
        options |= {"num_cpus": count_cores(), "object_store_memory": STORE_BYTES}
        options |= {"include_dashboard": False, "_temp_dir": folder}
    elif address != "auto":
        _knock(address)
    held.callback(ray.shutdown)
    try:
        with _environment(QUIET):
            ray.init(**options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise SweepError(f"no Ray cluster can be used at {address}: {_first_line(error)}", START) from error


def _knock(address: str) -> None:
    """See in seconds whether Ray is there, by the health service of gRPC; Ray itself would try for minutes.

    Raises:
        SweepError: Nobody answers, or somebody else, or the address is none.
    """
    import grpc

    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise SweepError(
            f"{address!r} is no address of a Ray cluster",
            "Give HOST:PORT of a cluster that this machine belongs to, auto, or local.",
        )
    try:
        with grpc.insecure_channel(address) as channel:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=KNOCK_SECONDS)
    except grpc.RpcError as error:
        if error.code() in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.UNIMPLEMENTED,
        ):
            raise SweepError(f"no Ray cluster answers at {address}", START) from error


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that are set meanwhile, where the user has not set them."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _how_it_ended(error: BaseException) -> str:
    kind = type(error).__name__
    known = {
        "WorkerCrashedError": "its worker died",
        "LocalRayletDiedError": "its machine left the cluster",
        "NodeDiedError": "its machine left the cluster",
        "OutOfMemoryError": "its machine ran out of memory",
    }
    return known.get(kind, f"Ray lost it ({kind})")
