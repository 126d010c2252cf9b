"""Local processes: failures, killed workers, a killed driver, and the same table in the end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sweep_work
from goldcut.errors import SweepError
from goldcut.sweeps.executors import alone, fit, share_cores, share_nodes
from goldcut.sweeps.processes import LocalProcesses
from goldcut.sweeps.progression import run_trials
from goldcut.sweeps.store import Store
from goldcut.sweeps.table import read_rows

DRIVER = """
import sys
from pathlib import Path
import sweep_work
from goldcut.sweeps.processes import LocalProcesses
from goldcut.sweeps.progression import run_trials
from goldcut.sweeps.store import Store
if __name__ == "__main__":
    planned = sweep_work.trials(12)
    with Store(Path(sys.argv[1])) as store:
        store.plan(planned)
        run_trials(store, planned, LocalProcesses(sweep_work.dawdle, 2, 1))
"""


def carry_out(folder, planned, work, workers=2, threads=1):
    """Run the trials and return the entries and the whole table."""
    with Store(folder) as store:
        store.plan(planned)
        run_trials(store, planned, LocalProcesses(work, workers, threads))
        entries = store.entries()
        return entries, read_rows(store.table_path(one.id) for one in entries if one.state == "done")


@settings(deadline=None)
@given(st.integers(1, 256), st.none() | st.integers(1, 300))
def test_workers_and_threads_never_ask_for_more_than_the_cores(cores, workers):
    many, threads = share_cores(cores, workers)
    assert 1 <= many * threads <= cores
    assert workers is None or many == min(workers, cores)


@settings(deadline=None)
@given(st.lists(st.integers(1, 64), min_size=1, max_size=5), st.none() | st.integers(1, 300))
def test_on_several_machines_as_many_trials_run_as_are_asked_for_or_fit(cores, workers):
    many, threads = share_nodes(cores, workers)
    assert 1 <= many <= fit(cores, threads)
    if workers is None:
        assert threads <= min(cores), "every machine takes part"
    else:
        assert many == min(workers, sum(cores))
        assert threads == max(cores) or fit(cores, threads + 1) < workers, (
            "no core is left that another thread could use"
        )


def test_who_works_in_a_folder_is_alone_there(tmp_path):
    with alone(tmp_path / "run"):
        with pytest.raises(SweepError, match="still works in"), alone(tmp_path / "run", seconds=0):
            pytest.fail("two are in it")
        with alone(tmp_path / "other", seconds=0):
            pass
    with alone(tmp_path / "run", seconds=0):
        pass


def test_a_failing_trial_stops_nothing_and_a_killed_worker_gets_a_second_try(tmp_path):
    entries, rows = carry_out(tmp_path, sweep_work.trials(5), sweep_work.stumble)
    assert [entry.state for entry in entries] == ["done", "done", "failed", "failed", "done"]
    assert entries[1].losses == 1
    assert entries[2].error == "its worker was killed by signal 9, 2 times"
    assert entries[3].error.startswith("ValueError: no such luck (sweep_work.py, line ")
    assert [row["seed"] for row in rows] == [0, 1, 4]


def test_workers_get_their_share_of_threads_and_the_environment_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    _, rows = carry_out(tmp_path, sweep_work.trials(2), sweep_work.say_threads, workers=1, threads=3)
    assert [row["edge_flops"] for row in rows] == [3, 3]
    assert os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_driver_that_is_stopped_takes_its_workers_along_and_the_next_goes_on(tmp_path, sent):
    undisturbed, rows = carry_out(tmp_path / "whole", sweep_work.trials(12), sweep_work.count_up)
    folder = tmp_path / "stopped"
    tests = Path(sweep_work.__file__).parent
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), *sys.path])}
    driver = subprocess.Popen([sys.executable, str(script), str(folder)], env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(folder.glob("trials/*.parquet"))) >= 3, driver)
    workers = {int(path.read_text()) for path in folder.glob("runs/*/pid") if path.read_text()}
    driver.send_signal(sent)
    driver.wait(60)
    wait_for(lambda: not any(sweep_work.is_alive(pid) for pid in workers))
    written = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*.parquet")}
    with Store(folder) as store:
        before = store.entries()
    assert 0 < sum(entry.state == "done" for entry in before) < 12

    entries, resumed = carry_out(folder, sweep_work.trials(12), sweep_work.count_up)
    assert [(e.id, e.state) for e in entries] == [(e.id, e.state) for e in undisturbed]
    assert resumed == rows
    done = {entry.id for entry in before if entry.state == "done"}
    assert all(path.stat().st_mtime_ns == then for path, then in written.items() if path.stem in done)


def wait_for(condition, process=None, seconds=600):
    limit = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "the driver has ended"
        assert time.monotonic() < limit, "nothing came"
        time.sleep(0.02)
