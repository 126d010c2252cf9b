"""Sweeps over a Ray cluster of two machines: the same table as local processes, whoever is killed meanwhile."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sweep_work
from goldcut.sweeps.processes import LocalProcesses
from goldcut.sweeps.progression import run_trials
from goldcut.sweeps.store import Store
from goldcut.sweeps.table import read_rows
from scan_records import assert_same_record

cluster_utils = pytest.importorskip("ray.cluster_utils")

FILE = """
model: model.py:build
data: npz:images.npz
defense: noise:1
cuts: 1
attacks: ridge
victims: 60
"""

DRIVER = """
import sys
from pathlib import Path
import sweep_work
from goldcut.sweeps.progression import run_trials
from goldcut.sweeps.ray_tasks import RayTasks
from goldcut.sweeps.store import Store
if __name__ == "__main__":
    folder, planned = Path(sys.argv[2]), sweep_work.trials(6)
    with Store(folder) as store:
        store.plan(planned)
        run_trials(store, planned, RayTasks(sweep_work.wait_for_leave, sys.argv[1], folder))
"""

TINY = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def environment():
    """That of all processes: they find the same goldcut and the work of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(sweep_work.__file__).parent), *sys.path]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture(scope="module")
def cluster(environment):
    """A head and a second machine with a core each."""
    made = start_cluster()
    yield made
    made.shutdown()


def start_cluster(tries=4):
    """Ray gives a machine 30 seconds to start, which a busy one may need more than once."""
    made = cluster_utils.Cluster()
    try:
        made.add_node(**TINY)
        made.add_node(**TINY)
    except Exception:
        made.shutdown()
        if tries == 1:
            raise
        return start_cluster(tries - 1)
    return made


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What local processes make of the same trials."""
    folder = tmp_path_factory.mktemp("whole")
    let_go(folder)
    with Store(folder) as store:
        store.plan(sweep_work.trials(6))
        run_trials(store, sweep_work.trials(6), LocalProcesses(sweep_work.wait_for_leave, 1, 1))
    return look(folder)


@pytest.fixture
def start(cluster, tmp_path):
    """Start a driver on a folder; in the end none is left."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    started = []

    def start(folder):
        driver = subprocess.Popen([sys.executable, str(script), cluster.address, str(folder)])
        started.append(driver)
        return driver

    yield start
    for driver in started:
        driver.kill()
        driver.wait()


def look(folder):
    """The state and the losses of each trial, and the whole table."""
    with Store(folder) as store:
        entries = store.entries()
        rows = read_rows(store.table_path(one.id) for one in entries if one.state == "done")
    return [(one.id, one.state) for one in entries], [one.losses for one in entries], rows


def in_flight(folder):
    """Trials that wait, and who is at each."""
    waiting = [folder / "runs" / trial.id / "pid" for trial in sweep_work.trials(6)[2:]]
    return {path.parent.name: int(path.read_text()) for path in waiting if path.exists() and path.read_text()}


def let_go(folder):
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    (folder / "runs" / "go").touch()


def wait_for(condition, process=None, seconds=600):
    limit = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "the driver has ended"
        assert time.monotonic() < limit, "nothing came"
        time.sleep(0.05)


def test_a_cluster_leaves_the_same_table_as_local_processes(goldcut, files, cluster, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(FILE)
    here, there = tmp_path / "here", tmp_path / "there"
    assert goldcut("sweep", str(file), "--out", str(here), "--workers", "2").code == 0
    command = ["goldcut", "sweep", str(file), "--out", str(there), "--cluster", cluster.address]
    done = subprocess.run([sys.executable, "-m", *command], cwd=files, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tables = [read_rows(sorted(folder.glob("trials/*.parquet"))) for folder in (here, there)]
    for row in (*tables[0], *tables[1]):
        del row["attack_seconds"]
    assert tables[0] == tables[1] != []
    assert "Page: " in done.stdout


def test_a_scan_shared_out_over_the_cluster_is_that_of_one_process(goldcut, one_thread, files, cluster, tmp_path):
    assert goldcut("scan", "model.py:build", "npz:images.npz", "--out", str(tmp_path / "here")).code == 0
    command = ["goldcut", "scan", "model.py:build", "npz:images.npz", "--out", str(tmp_path / "there")]
    done = subprocess.run(
        [sys.executable, "-m", *command, "--cluster", cluster.address],
        cwd=files,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert_same_record(tmp_path / "there", tmp_path / "here")


def test_a_killed_worker_loses_its_trial_alone_which_is_tried_again(start, undisturbed, tmp_path):
    driver = start(tmp_path / "out")
    wait_for(lambda: len(in_flight(tmp_path / "out")) == 2, driver)
    id, worker = next(iter(in_flight(tmp_path / "out").items()))
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: in_flight(tmp_path / "out")[id] != worker, driver)
    let_go(tmp_path / "out")
    assert driver.wait(600) == 0
    states, losses, rows = look(tmp_path / "out")
    assert (states, rows) == (undisturbed[0], undisturbed[2])
    assert sum(losses) == losses[[known for known, _ in states].index(id)] == 1


def test_tasks_of_a_killed_driver_end_and_the_next_one_goes_on(start, undisturbed, tmp_path):
    driver = start(tmp_path / "out")
    wait_for(lambda: len(in_flight(tmp_path / "out")) == 2, driver)
    driver.kill()
    driver.wait(60)
    workers = in_flight(tmp_path / "out").values()
    wait_for(lambda: not any(sweep_work.is_alive(pid) for pid in workers))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/trials/*.parquet")}
    assert len(written) == 2

    let_go(tmp_path / "out")
    assert start(tmp_path / "out").wait(600) == 0
    assert look(tmp_path / "out") == undisturbed, "and nothing counts as lost"
    assert all(path.stat().st_mtime_ns == then for path, then in written.items())


def test_a_machine_that_is_lost_loses_what_it_had_in_flight(cluster, start, undisturbed, tmp_path):
    driver = start(tmp_path / "out")
    wait_for(lambda: len(in_flight(tmp_path / "out")) == 2, driver)
    cluster.remove_node(cluster.list_all_nodes()[1], allow_graceful=False)
    wait_for(lambda: sum(look(tmp_path / "out")[1]) == 1, driver)
    let_go(tmp_path / "out")
    assert driver.wait(600) == 0
    states, losses, rows = look(tmp_path / "out")
    assert (states, rows) == (undisturbed[0], undisturbed[2])
    assert sum(losses) == 1
