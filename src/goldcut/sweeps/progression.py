"""The loop of a sweep: record what has ended and claim what is next, start, wait; again until nothing is left."""

import time
from collections.abc import Iterator, Sequence

from goldcut.progress import Progress, silent
from goldcut.sweeps.executors import Executor, Outcome
from goldcut.sweeps.store import Entry, Store
from goldcut.sweeps.trials import Trial

BEAT = 5.0
"""Seconds between two signs of life."""


def run_trials(store: Store, trials: Sequence[Trial], executor: Executor, *, progress: Progress = silent) -> None:
    """Carry out every trial that is not done, failed or in the hands of another owner.

    Interrupted, it leaves what was in flight as pending; a failed trial stops nothing else.

    Args:
        store: Where the trials are planned.
        trials: Which of them.
        executor: Who carries them out; closed in the end, whatever happens.
        progress: Told the trials that have ended.
    """
    ids = [trial.id for trial in trials]
    ended = sum(entry.state in ("done", "failed") for entry in store.entries(ids))
    running: set[str] = set()
    outcomes: list[Outcome] = []
    beaten = time.monotonic()
    try:
        while True:
            with store.together():
                ended += sum(_record(store, outcome) for outcome in outcomes)
                begun = list(_claim(store, ids, executor.capacity - len(running)))
                if time.monotonic() - beaten > BEAT:
                    store.beat()
                    beaten = time.monotonic()
            for entry in begun:
                executor.start(entry.id, entry.trial, store.run_folder(entry.id))
                running.add(entry.id)
            progress("trials", ended, len(ids))
            if not running:
                return
            outcomes = executor.wait(BEAT)
            running.difference_update(outcome.id for outcome in outcomes)
    finally:
        executor.close()
        store.release()


def _claim(store: Store, ids: Sequence[str], most: int) -> Iterator[Entry]:
    """As many trials as can be had, up to `most`."""
    for _ in range(most):
        if (entry := store.claim(ids)) is None:
            return
        yield entry


def _record(store: Store, outcome: Outcome) -> bool:
    """Put an outcome into the store; whether the trial has ended with it."""
    if outcome.lost is not None:
        return store.lose(outcome.id, outcome.lost) == "failed"
    if outcome.rows is not None:
        return store.finish(outcome.id, outcome.rows, outcome.seconds)
    return store.fail(outcome.id, outcome.error or "no reason was given", outcome.seconds)
