"""What a sweep costs beside its trials: claiming, sending, recording, and the table of a trial that does nothing.

python -m benchmarks.sweep [--trials N] [--workers W]

One JSON line. Wall clock of all trials but the first, and of all with the start of workers and libraries.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from goldcut.sweeps.executors import Outcome
from goldcut.sweeps.processes import LocalProcesses
from goldcut.sweeps.progression import run_trials
from goldcut.sweeps.store import Store
from goldcut.sweeps.trials import ModelSource, Trial

ROWS = 20
"""Rows of each table: ten cuts and two attacks."""


def do_nothing(trial: Trial, folder: Path) -> list[dict[str, object]]:
    """The table of a trial at once."""
    return [{"trial": trial.id, "cut": f"layer{row}", "recovered": 0.5, "seed": trial.seed} for row in range(ROWS)]


class Timed(LocalProcesses):
    """Notes when the first outcome was recorded: when the second is waited for."""

    first = 0.0
    some = False

    def wait(self, seconds: float) -> list[Outcome]:
        if self.some and not self.first:
            self.first = time.perf_counter()
        outcomes = super().wait(seconds)
        self.some = self.some or bool(outcomes)
        return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    flags = parser.parse_args()
    trials = [Trial(model=ModelSource(spec="m"), data="d", seed=seed) for seed in range(flags.trials)]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        start, cpu = time.perf_counter(), time.process_time()
        store.plan(trials)
        executor = Timed(do_nothing, flags.workers, 1)
        run_trials(store, trials, executor)
        end = time.perf_counter()
        print(
            json.dumps(
                {
                    "benchmark": "sweep",
                    "trials": flags.trials,
                    "workers": flags.workers,
                    "ms_a_trial": round(1000 * (end - executor.first) / (flags.trials - 1), 2),
                    "ms_a_trial_with_start": round(1000 * (end - start) / flags.trials, 2),
                    "driver_cpu_ms_a_trial": round(1000 * (time.process_time() - cpu) / flags.trials, 2),
                    "load": round(os.getloadavg()[0], 2),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
