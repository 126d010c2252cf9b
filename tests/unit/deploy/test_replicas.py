"""Replicas elsewhere, with a fake in place of Ray: the bound, the deadline, cancels, a replica that dies, a drain."""

import asyncio
import logging
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from goldcut.deploy import fleet
from goldcut.deploy.batcher import Computed
from goldcut.deploy.refusals import TERMS, Refusal
from goldcut.deploy.replicas import Replicas
from goldcut.errors import DeployError


class Gone(Exception):
    """A replica died."""


class Elsewhere:
    """Doubles what it is sent when the test says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[np.ndarray, asyncio.Future[Computed]]] = []

    def __call__(self, z: np.ndarray) -> asyncio.Future[Computed]:
        self.sent.append((z, asyncio.get_running_loop().create_future()))
        return self.sent[-1][1]

    def reply(self, turn: int) -> None:
        z, answer = self.sent[turn]
        answer.set_result(Computed(z * 2, 0.0, 0.25, len(z), "host:1"))


def run(scenario, most_waiting: int = 8) -> None:
    async def whole() -> None:
        elsewhere = Elsewhere()
        await scenario(Replicas(elsewhere, (Gone,), most_waiting=most_waiting), elsewhere)

    asyncio.run(whole())


async def started(replicas: Replicas, *rows: int, **flags) -> list[asyncio.Task]:
    """Requests that were all sent when this returns."""
    tasks = [asyncio.create_task(replicas.answer(np.ones((one, 2), np.float32), **flags)) for one in rows]
    await asyncio.sleep(0)
    return tasks


def test_an_answer_says_where_it_was_computed_and_how_long_it_waited():
    async def scenario(replicas: Replicas, elsewhere: Elsewhere) -> None:
        (task,) = await started(replicas, 3)
        assert replicas.waiting_rows == 3
        elsewhere.reply(0)
        computed = await task
        assert (computed.logits == 2).all()
        assert (computed.replica, computed.computed, computed.waited) == ("host:1", 0.25, 0.0)
        assert replicas.waiting_rows == 0

    run(scenario)


def test_no_more_is_sent_than_may_wait():
    async def scenario(replicas: Replicas, elsewhere: Elsewhere) -> None:
        tasks = await started(replicas, 4, 4)
        with pytest.raises(Refusal, match="overloaded, retry after") as refused:
            await replicas.answer(np.ones((1, 2), np.float32))
        assert refused.value.retry_after >= 0.05
        assert len(elsewhere.sent) == 2
        elsewhere.reply(0)
        await tasks[0]
        await started(replicas, 4)
        assert len(elsewhere.sent) == 3

    run(scenario)


def test_a_replica_that_dies_is_told_and_its_rows_are_free_again():
    async def scenario(replicas: Replicas, elsewhere: Elsewhere) -> None:
        (task,) = await started(replicas, 8)
        elsewhere.sent[0][1].set_exception(Gone())
        with pytest.raises(Refusal, match="try again") as refused:
            await task
        assert TERMS[refused.value.reason].grpc == "UNAVAILABLE"
        assert TERMS[refused.value.reason].http == 503
        assert replicas.waiting_rows == 0

    run(scenario)


def test_an_error_of_the_half_is_no_lost_replica():
    async def scenario(replicas: Replicas, elsewhere: Elsewhere) -> None:
        (task,) = await started(replicas, 1)
        elsewhere.sent[0][1].set_exception(ValueError("bad"))
        with pytest.raises(ValueError, match="bad"):
            await task

    run(scenario)


def test_a_deadline_that_passes_elsewhere_is_told_and_the_request_cancelled():
    async def scenario(replicas: Replicas, elsewhere: Elsewhere) -> None:
        with pytest.raises(Refusal, match="the deadline passed") as refused:
            await replicas.answer(np.ones((1, 2), np.float32), 0.01)
        assert refused.value.reason == "late"
        assert elsewhere.sent[0][1].cancelled()
        with pytest.raises(Refusal, match="before the request was taken up"):
            await replicas.answer(np.ones((1, 2), np.float32), 0.0)
        assert len(elsewhere.sent) == 1

    run(scenario)


def test_a_client_that_goes_cancels_its_request():
    async def scenario(replicas: Replicas, elsewhere: Elsewhere) -> None:
        (task,) = await started(replicas, 8)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert elsewhere.sent[0][1].cancelled()
        assert replicas.waiting_rows == 0

    run(scenario)


def test_a_drain_waits_for_what_was_sent_and_takes_nothing_more():
    async def scenario(replicas: Replicas, elsewhere: Elsewhere) -> None:
        (task,) = await started(replicas, 1)
        drain = asyncio.create_task(replicas.drain())
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="closing"):
            await replicas.answer(np.ones((1, 2), np.float32))
        assert not drain.done()
        elsewhere.reply(0)
        await task
        await drain

    run(scenario)


def says(status: str, message: str = "", deployed: str = "") -> SimpleNamespace:
    """What Serve tells of an application."""
    application = SimpleNamespace(
        status=status, message=message, deployments={"Replica": SimpleNamespace(message=deployed)}
    )
    return SimpleNamespace(status=lambda: SimpleNamespace(applications={"ours": application}))


def test_replicas_that_do_not_start_are_told_in_one_sentence(monkeypatch):
    monkeypatch.setattr(fleet, "START_SECONDS", 0.0)
    fleet._await_running(says("RUNNING"), "ours")
    with pytest.raises(DeployError, match="no replica can be started: ValueError: no half"):
        fleet._await_running(says("DEPLOY_FAILED", "failed", "Traceback:\n  ...\nValueError: no half\n"), "ours")
    with pytest.raises(DeployError, match="no replica was ready after 0 seconds: no room for 4 CPUs"):
        fleet._await_running(says("DEPLOYING", deployed="no room for 4 CPUs"), "ours")


def test_a_server_without_its_application_is_ended(monkeypatch):
    killed = threading.Event()
    monkeypatch.setattr(fleet, "STATUS_SECONDS", 0.01)
    monkeypatch.setattr(fleet, "MOST_SILENT_SECONDS", 0.05)
    monkeypatch.setattr(fleet.os, "kill", lambda pid, number: killed.set())
    gone = SimpleNamespace(status=lambda: SimpleNamespace(applications={}))
    with pytest.raises(DeployError, match="is gone"), fleet._watching(gone, "ours"):
        assert killed.wait(60)


def test_the_number_of_replicas_is_logged_when_it_changes(caplog):
    counts, seen = iter([1, 1, 2]), threading.Event()

    def status() -> SimpleNamespace:
        count = next(counts, None)
        if count is None:
            seen.set()
        deployment = SimpleNamespace(replica_states={"RUNNING": 2 if count is None else count, "STARTING": 5})
        return SimpleNamespace(applications={"ours": SimpleNamespace(deployments={"Replica": deployment})})

    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.INFO, "goldcut.serve"):
        patch.setattr(fleet, "STATUS_SECONDS", 0.01)
        with fleet._watching(SimpleNamespace(status=status), "ours"):
            assert seen.wait(60)
    assert [record.fields["running"] for record in caplog.records] == [1, 2]
