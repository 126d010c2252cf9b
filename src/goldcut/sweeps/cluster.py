"""Trials as tasks of a Ray cluster (extra `cluster`).

Models and images are named by paths that every node must see. The table of a trial comes back over the wire; its run
folder stays on the node that ran it, unless the sweep's folder is shared.
"""

import os
from pathlib import Path
from typing import Any

from goldcut.errors import MissingExtra, SweepError
from goldcut.sweeps.executors import Executor, Outcome, Work, attempt, share_cores
from goldcut.sweeps.trials import Trial

LOCAL = "local"
"""The address that starts a cluster of this machine alone."""


class RayCluster(Executor):
    """Tasks of Ray; a node that dies loses its trials, and the sweep tries them again.

    Args:
        work: What is done with a trial.
        address: Of the cluster, or "local".
        workers: Trials at once; from the number of cores when None.
        gpus: GPUs for each trial.

    Raises:
        MissingExtra: Ray is not installed.
        SweepError: The cluster cannot be reached.
    """

    def __init__(self, work: Work, address: str, workers: int | None = None, gpus: float = 0) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise MissingExtra("ray", "cluster") from error
        self._ray = ray
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=_dashboard(address))
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise SweepError(f"there is no cluster at {address}: {error}", "Give the address of its head.") from error
        nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
        self._workers, threads = share_cores(max(1, sum(nodes)), workers)
        self.threads = min([threads, *(cores for cores in nodes if cores)])
        self._task = ray.remote(num_cpus=self.threads, num_gpus=gpus, max_retries=0)(_attempt_in)
        self._work = work
        self._running: dict[Any, str] = {}

    @property
    def capacity(self) -> int:
        return self._workers

    def start(self, id: str, trial: Trial, folder: Path) -> None:
        self._running[self._task.remote(os.getcwd(), self._work, id, trial, folder.resolve(), self.threads)] = id

    def wait(self, seconds: float) -> list[Outcome]:
        ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._outcome(one, self._running.pop(one)) for one in ended]

    def close(self) -> None:
        self._ray.shutdown()
        self._running = {}

    def _outcome(self, reference: Any, id: str) -> Outcome:
        try:
            outcome: Outcome = self._ray.get(reference)
            return outcome
        except self._ray.exceptions.RayTaskError as error:
            return Outcome(id, error=str(error).strip().splitlines()[-1])
        except self._ray.exceptions.RayError as error:
            return Outcome(id, lost=f"its worker was lost ({type(error).__name__})")


def _attempt_in(cwd: str, work: Work, id: str, trial: Trial, folder: Path, threads: int) -> Outcome:
    """Carry out a trial from the folder that its names are relative to."""
    import torch

    if os.path.isdir(cwd):
        os.chdir(cwd)
    torch.set_num_threads(threads)
    return attempt(work, id, trial, folder)


def _dashboard(address: str) -> bool | None:
    """No dashboard for a cluster of our own; another's is not ours to choose."""
    return False if address == LOCAL else None
