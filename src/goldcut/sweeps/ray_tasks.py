"""Trials as tasks of a Ray cluster.

Ray is never left to repeat a task: one whose worker or node dies is told as lost, and the store decides. All machines
see the folders under one path, which is checked before anything runs, and again by each task. What a killed command
leaves running ends with its job; until then it holds the lock of its run folder.
"""

import importlib.metadata
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from goldcut.cluster import LOCAL, import_ray, join_cluster, short, start_ray
from goldcut.errors import SweepError
from goldcut.sweeps.executors import (
    THREAD_VARIABLES,
    Executor,
    Outcome,
    Work,
    attempt,
    count_cores,
    share_nodes,
)

LOOK_SECONDS = 120.0
"""Seconds that a machine has to start a first worker."""


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
        ClusterError: The cluster cannot be joined.
        SweepError: Its machines cannot take trials, and why.
    """

    def __init__(self, work: Work, address: str, folder: Path, *, workers: int | None = None, gpus: int = 0) -> None:
        self._ray = import_ray(alone=address == LOCAL)
        self._workers, self._gpus = workers, gpus
        self._tasks: dict[Any, str] = {}
        self._held = ExitStack()
        try:
            if address == LOCAL:
                start_ray(self._ray, self._held, cpus=count_cores())
            else:
                join_cluster(self._ray, self._held, address)
            machines = self._machines()
            if not machines:
                needs = "a core and a graphics processor" if gpus else "a core"
                raise SweepError(f"no machine of the cluster {address} has {needs} for a trial", "Add one to it.")
            _, self.threads = share_nodes([cores for cores, _ in machines.values()], workers)
            self._options = {
                "max_retries": 0,
                "runtime_env": {"env_vars": dict.fromkeys(THREAD_VARIABLES, str(self.threads))},
            }
            self._place = make_place(folder)
            self._held.callback(self._place.token.unlink, missing_ok=True)
            self._look(list(machines))
            self._remote = self._ray.remote(num_cpus=self.threads, num_gpus=gpus, **self._options)(carry)
            self._work = self._ray.put(work)
        except BaseException:
            self.close()
            raise

    @property
    def capacity(self) -> int:
        """Tasks that fit now; at least one, which waits when the cluster has lost its machines."""
        fitting = max(1, sum(self._fit(*each) for each in self._machines().values()))
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

    def _fit(self, cores: int, gpus: int) -> int:
        """Tasks at once on a machine."""
        fitting = cores // self.threads
        return min(fitting, gpus // self._gpus) if self._gpus else fitting

    def _machines(self) -> dict[str, tuple[int, int]]:
        """Machines that are there and can take tasks: name in Ray -> whole cores, graphics processors."""
        found = {}
        for node in self._ray.nodes():
            cores, gpus = (int(node["Resources"].get(kind, 0)) for kind in ("CPU", "GPU"))
            if node["Alive"] and cores >= 1 and gpus >= self._gpus:
                found[node["NodeID"]] = cores, gpus
        return found

    def _take(self, ended: Any, id: str) -> Outcome:
        errors = self._ray.exceptions
        try:
            outcome: Outcome = self._ray.get(ended)
        except errors.RayTaskError as error:  # not of the task, which keeps its own: its arguments could not be read
            return Outcome(id, error=short(error.cause or error))
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
                f"a machine of the cluster cannot begin a trial: {short(cause)}",
                "Give every machine the same goldcut, Python and Ray.",
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


def _how_it_ended(error: BaseException) -> str:
    kind = type(error).__name__
    known = {
        "WorkerCrashedError": "its worker died",
        "LocalRayletDiedError": "its machine left the cluster",
        "NodeDiedError": "its machine left the cluster",
        "OutOfMemoryError": "its machine ran out of memory",
    }
    return known.get(kind, f"Ray lost it ({kind})")
