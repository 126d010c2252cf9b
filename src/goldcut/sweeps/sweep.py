"""A sweep from its file to its page."""

from functools import partial
from pathlib import Path

from goldcut.cluster import check_cluster
from goldcut.progress import Progress, silent
from goldcut.study.scan import MEMORY_BYTES
from goldcut.sweeps.checks import read_sweep
from goldcut.sweeps.executors import Executor, Work, count_cores, share_cores
from goldcut.sweeps.processes import LocalProcesses
from goldcut.sweeps.progression import run_trials
from goldcut.sweeps.ray_tasks import RayTasks
from goldcut.sweeps.store import Entry, Store, open_store
from goldcut.sweeps.summary import Summary, summarise
from goldcut.sweeps.trials import Trial
from goldcut.sweeps.work import carry_out


def run_sweep(
    file: Path,
    out: Path,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    device: str = "cpu",
    memory: int = MEMORY_BYTES,
    retry_failed: bool = False,
    progress: Progress = silent,
) -> Summary:
    """Carry out what is left of a file's trials and summarise the folder.

    Args:
        file: YAML, see docs/sweep.md.
        out: The folder; what it holds already stays.
        workers: Trials at once; one for each four cores when None, never more than cores.
        cluster: Address of a Ray cluster that carries the trials out; this machine's processes do when None.
        device: Where each trial computes.
        memory: Most bytes for statistics or features of a trial.
        retry_failed: Whether trials that have failed are tried again.
        progress: Told the trials that have ended.

    Raises:
        SweepError: The file, the folder or the cluster cannot be used; nothing has been run then.
        MissingExtra: A cluster is asked for, and Ray is not installed.
    """
    if cluster is not None:
        check_cluster(cluster)
    trials, _ = plan_sweep(file, out, progress=progress)
    with Store(out) as store:
        store.plan(trials)
        if retry_failed:
            store.retry_failed([trial.id for trial in trials])
        work = partial(carry_out, device=device, memory=memory)
        if any(entry.state in ("pending", "running") for entry in store.entries(trial.id for trial in trials)):
            executor = make_executor(work, out, workers=workers, cluster=cluster, device=device)
            run_trials(store, trials, executor, progress=progress)
        return summarise(store)


def make_executor(
    work: Work, folder: Path, *, workers: int | None = None, cluster: str | None = None, device: str = "cpu"
) -> Executor:
    """Who carries out the work: processes of this machine, or the tasks of a Ray cluster.

    Args:
        work: What is done with each task.
        folder: Where the tasks work; all machines of the cluster must see it.
        workers: Tasks at once, as many as there is room for when None.
        cluster: Address of the cluster, if any.
        device: Where each task computes; one on a graphics processor has that to itself on a cluster.

    Raises:
        SweepError: The cluster cannot be used.
        MissingExtra: Ray is not installed.
    """
    if cluster is None:
        return LocalProcesses(work, *share_cores(count_cores(), workers))
    return RayTasks(work, cluster, folder, workers=workers, gpus=int(device.startswith("cuda")))


def plan_sweep(file: Path, out: Path, *, progress: Progress = silent) -> tuple[tuple[Trial, ...], tuple[Entry, ...]]:
    """The trials of a file, and what the folder knows of trials; the folder need not exist and is not written.

    Raises:
        SweepError: The file cannot be used.
    """
    entries: tuple[Entry, ...] = ()
    if (out / "sweep.sqlite").is_file():
        with open_store(out) as store:
            entries = store.entries()
    done = {entry.id for entry in entries if entry.state == "done"}
    return read_sweep(file, done=done, progress=progress), entries
