"""`goldcut sweep` from its file to its table; interrupted and killed sweeps end with the same one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FILE = """
model: model.py:build
data: npz:images.npz
defense: [none, noise:1]
cuts: 1
attacks: ridge
victims: 60
seed: {seeds}
"""


def write(tmp_path, seeds="0"):
    path = tmp_path / "sweep.yaml"
    path.write_text(FILE.format(seeds=seeds))
    return str(path)


def table(folder):
    """All rows of a sweep without what depends on the clock."""
    from goldcut.sweeps.table import read_rows

    rows = read_rows(sorted(folder.glob("trials/*.parquet")))
    return [{key: value for key, value in row.items() if key != "attack_seconds"} for row in rows]


def start_sweep(files, file, out):
    """The command in a process of its own, in the folder of the files."""
    return subprocess.Popen(
        [sys.executable, "-m", "goldcut", "sweep", file, "--out", str(out), "--workers", "2"],
        cwd=files,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def workers_of(pid):
    """The spawned workers of a process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_until(condition, process, seconds=900):
    limit = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the sweep has ended"
        assert time.monotonic() < limit, "nothing came"
        time.sleep(0.02)


def test_a_sweep_leaves_a_table_and_a_page_and_the_same_command_does_no_more(goldcut, tmp_path):
    out = tmp_path / "out"
    answer = goldcut("sweep", write(tmp_path), "--out", str(out), "--workers", "1", "--json")
    assert answer.code == 0, answer.err
    summary = json.loads(answer.out)
    assert summary["counts"] == {"pending": 0, "running": 0, "done": 2, "failed": 0}
    assert {(row["defense"], row["cut"], row["attack"]) for row in table(out)} == {
        (None, "1", "ridge"),
        ("noise:1", "1", "ridge"),
    }
    plain, noisy = sorted(table(out), key=lambda row: row["defense"] or "")
    assert noisy["recovered"] < plain["recovered"]
    assert plain["accuracy"] == plain["accuracy_undefended"] == noisy["accuracy_undefended"]
    assert (out / "sweep.html").exists()
    written = {path: path.stat().st_mtime_ns for path in out.glob("trials/*.parquet")}

    again = goldcut("sweep", write(tmp_path), "--out", str(out))
    assert again.code == 0
    assert "2 trials: 2 done." in again.out
    assert written == {path: path.stat().st_mtime_ns for path in out.glob("trials/*.parquet")}

    planned = goldcut("sweep", write(tmp_path, "[0, 1]"), "--out", str(out), "--dry-run")
    assert planned.code == 0
    assert "4 trials, 2 to do" in planned.out
    assert goldcut("sweep", "--out", str(out)).out == again.out


def test_a_bad_file_is_refused_before_anything_runs(goldcut, tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("model: model.py:bild\ndata: npz:images.npz\ncuts: [1, 99]\ndefence: noise:1\n")
    answer = goldcut("sweep", str(path), "--out", str(tmp_path / "out"))
    assert answer.code == 1
    assert "line 1: " in answer.err
    assert "line 4: there is no key 'defence'; did you mean 'defense'?" in answer.err
    assert not (tmp_path / "out").exists()
    path.write_text("model: model.py:build\ndata: npz:images.npz\ncuts: [1, 99]\n")
    answer = goldcut("sweep", str(path), "--out", str(tmp_path / "out"))
    assert "line 3: model.py:build has no cut '99' to attack" in answer.err


@pytest.mark.slow
def test_kills_of_a_worker_and_of_the_driver_change_nothing_in_the_table(goldcut, files, tmp_path):
    file = write(tmp_path, "[0, 1, 2]")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert goldcut("sweep", file, "--out", str(whole), "--workers", "2").code == 0

    driver = start_sweep(files, file, killed)
    wait_until(lambda: list(killed.glob("trials/*.parquet")), driver)
    worker = workers_of(driver.pid)[0]
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: worker not in workers_of(driver.pid), driver)
    wait_until(lambda: len(list(killed.glob("trials/*.parquet"))) >= 2, driver)
    driver.kill()
    driver.wait(60)
    assert len(list(killed.glob("trials/*.parquet"))) < 6

    assert goldcut("sweep", file, "--out", str(killed), "--workers", "2").code == 0
    assert table(killed) == table(whole)
