"""The store: which state follows which, whose claim counts, and what a table holds."""

import os
import socket
import sqlite3

import pytest

from goldcut.errors import SweepError
from goldcut.sweeps import store as store_module
from goldcut.sweeps.store import Store, new_owner, open_store
from goldcut.sweeps.table import COLUMNS, pack_rows, read_rows
from sweep_work import count_up, trials

THREE = trials(3)
IDS = [trial.id for trial in THREE]


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as made:
        made.plan(THREE)
        yield made


def states(store):
    return [entry.state for entry in store.entries()]


def test_trials_are_claimed_in_the_order_of_the_plan_and_once(store):
    assert [store.claim(IDS).id for _ in THREE] == IDS
    assert store.claim(IDS) is None
    assert states(store) == ["running"] * 3
    assert store.entries()[0].trial == THREE[0]


def test_a_claim_is_only_for_what_is_asked_for(store):
    assert store.claim([IDS[2]]).id == IDS[2]
    assert store.claim([IDS[2]]) is None


def test_done_failed_and_released(store):
    for _ in THREE:
        store.claim(IDS)
    assert store.finish(IDS[0], count_up(THREE[0], None), 1.5)
    assert store.fail(IDS[1], "it was too hard", 0.5)
    store.release()
    assert states(store) == ["done", "failed", "pending"]
    assert store.entries()[0].seconds == 1.5
    assert store.entries()[1].error == "it was too hard"
    assert read_rows([store.table_path(IDS[0])])[0]["recovered"] == 0
    assert store.claim(IDS).id == IDS[2], "what is done or failed is not claimed again"


def test_what_is_changed_together_is_changed_or_not_as_a_whole(store):
    def go_on():
        with store.together():
            store.fail(IDS[0], "no")
            yield store.claim(IDS).id

    store.claim(IDS)
    stopped = go_on()
    assert next(stopped) == IDS[1]
    with pytest.raises(ZeroDivisionError):
        stopped.throw(ZeroDivisionError)
    assert states(store) == ["running", "pending", "pending"]
    assert list(go_on()) == [IDS[1]]
    with sqlite3.connect(store.folder / "sweep.sqlite") as other:
        found = other.execute("SELECT state FROM trials ORDER BY place").fetchall()
    other.close()
    assert [state for (state,) in found] == ["failed", "running", "pending"]


def test_a_done_trial_whose_table_is_gone_is_planned_again(store):
    for id in IDS[:2]:
        store.claim(IDS)
        store.finish(id, count_up(THREE[0], None), 1)
    store.table_path(IDS[1]).unlink()
    store.plan(THREE)
    assert states(store) == ["done", "pending", "pending"]


def test_a_failed_trial_is_tried_again_only_when_asked(store):
    store.claim(IDS)
    store.fail(IDS[0], "no", 0)
    store.plan(THREE)
    assert states(store)[0] == "failed"
    store.retry_failed(IDS)
    assert (states(store)[0], store.entries()[0].error) == ("pending", None)


def test_a_trial_that_workers_die_of_is_tried_once_more(store):
    store.claim(IDS)
    assert store.lose(IDS[0], "killed") == "pending"
    assert store.claim(IDS).id == IDS[0]
    assert store.lose(IDS[0], "killed") == "failed"
    assert store.entries()[0].error == "killed, 2 times"


def test_planning_again_keeps_what_is_known_and_adds_what_is_new(store):
    store.claim(IDS)
    store.finish(IDS[0], [], 0)
    more = trials(5)[::-1]
    store.plan(more)
    assert [entry.trial.seed for entry in store.entries()] == [4, 3, 2, 1, 0]
    assert states(store) == ["pending"] * 4 + ["done"]


def test_the_claim_of_a_living_owner_is_respected(store, tmp_path):
    store.claim(IDS)
    with Store(tmp_path, new_owner()) as other:
        assert other.claim([IDS[0]]) is None
        assert not other.finish(IDS[0], [], 0)
        assert not other.fail(IDS[0], "not mine", 0)
        other.release()
    assert states(store)[0] == "running"


@pytest.mark.parametrize("owner", [f"{socket.gethostname()}/{os.getpid()}/0/x", "elsewhere/1/2/x"])
def test_the_claim_of_an_owner_that_is_gone_is_open(store, tmp_path, owner, monkeypatch):
    with Store(tmp_path, owner) as gone:
        gone.claim(IDS)
        if owner.startswith("elsewhere"):
            assert store.claim([IDS[0]]) is None, "it was heard of just now"
            monkeypatch.setattr(store_module, "SILENCE", -1.0)
        assert store.claim([IDS[0]]).id == IDS[0]
        gone.beat()
        assert not gone.finish(IDS[0], [], 0), "it comes too late"
    assert states(store)[0] == "running"


def test_a_table_has_every_column_and_missing_figures_are_null(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(pack_rows([{"trial": "a", "recovered": 0.5, "converged": True}]))
    (row,) = read_rows([path])
    assert list(row) == list(COLUMNS)
    assert (row["trial"], row["recovered"], row["converged"], row["mse"]) == ("a", 0.5, True, None)


def test_a_damaged_table_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(SweepError, match=r"t\.parquet is damaged"):
        read_rows([path])


def test_folders_that_are_no_sweep(tmp_path):
    with pytest.raises(SweepError, match="holds no sweep"):
        open_store(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(SweepError, match="cannot hold a sweep"):
        Store(tmp_path / "file")
    db = sqlite3.connect(tmp_path / "sweep.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SweepError, match="version 99"):
        open_store(tmp_path)
