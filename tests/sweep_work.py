"""Work for the executors of sweeps, in a module that fresh processes can import, and trials to give to it."""

import os
import signal
import time
from pathlib import Path

from goldcut.sweeps.trials import ModelSource, Trial


def trials(count):
    """So many trials that differ in their seed."""
    return tuple(Trial(model=ModelSource(spec="m"), data="d", seed=seed) for seed in range(count))


def count_up(trial, folder):
    """A row with a figure that the trial alone decides."""
    return [{"trial": trial.id, "seed": trial.seed, "cut": "a", "attack": "none", "recovered": trial.seed / 8}]


def dawdle(trial, folder):
    """The same after a while, with a trace of who did it; the last ones of twelve outlast whoever waits for them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pid").write_text(str(os.getpid()))
    time.sleep(0.15 if trial.seed < 8 else 3600)
    return count_up(trial, folder)


def stumble(trial, folder):
    """The first worker on trial 1 is killed, every worker on trial 2, and trial 3 raises."""
    folder.mkdir(parents=True, exist_ok=True)
    tried = folder / "tried"
    if trial.seed == 2 or (trial.seed == 1 and not tried.exists()):
        tried.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if trial.seed == 3:
        raise ValueError("no such luck")
    return count_up(trial, folder)


def say_threads(trial, folder):
    """How many computing threads the worker was given."""
    return [{"trial": trial.id, "edge_flops": int(os.environ["OMP_NUM_THREADS"])}]


def wait_for_leave(trial, folder):
    """Two at once; the others, with a trace of who is at it, once there is a file `go` beside the run folders."""
    (folder / "pid").write_text(str(os.getpid()))
    while trial.seed > 1 and not (folder.parent / "go").exists():
        time.sleep(0.02)
    return [row | {"edge_flops": int(os.environ["OMP_NUM_THREADS"])} for row in count_up(trial, folder)]


def is_alive(pid):
    """Whether a process of this machine is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
