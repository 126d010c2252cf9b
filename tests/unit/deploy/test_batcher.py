"""The micro-batcher: what is batched, what is left out, and that nobody pays for another."""

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from goldcut.deploy.batcher import Batcher
from goldcut.deploy.refusals import Refusal


class Session:
    """Doubles its batch; holds every run until the gate is open, and keeps the sizes."""

    def __init__(self, fail: Callable[[np.ndarray], bool] = lambda batch: False) -> None:
        self.gate, self.rows, self._fail = threading.Event(), [], fail

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        assert self.gate.wait(30)
        self.rows.append(len(batch))
        if self._fail(batch):
            raise ValueError("bad row")
        return batch * 2


def row(value: float, rows: int = 1) -> np.ndarray:
    return np.full((rows, 2), value, np.float32)


async def started(batcher: Batcher, *rows: np.ndarray, **flags) -> list[asyncio.Task]:
    """Requests that are all in the batcher when this returns."""
    tasks = [asyncio.create_task(batcher.answer(one, **flags)) for one in rows]
    await asyncio.sleep(0)
    return tasks


def run(session: Session, scenario, *, most_rows: int = 4, most_waiting: int = 8) -> None:
    async def whole() -> None:
        batcher = Batcher(session, most_rows=most_rows, most_waiting=most_waiting)
        try:
            await scenario(batcher)
        finally:
            session.gate.set()
            await batcher.drain()

    asyncio.run(whole())


def test_what_comes_while_it_is_busy_goes_together():
    session = Session()

    async def scenario(batcher: Batcher) -> None:
        tasks = await started(batcher, *(row(value) for value in range(6)))
        assert batcher.waiting_rows == 5
        session.gate.set()
        answers = await asyncio.gather(*tasks)
        assert [one.logits[0, 0] for one in answers] == [0, 2, 4, 6, 8, 10]
        assert [one.rows for one in answers] == [1, 4, 4, 4, 4, 1]

    run(session, scenario)
    assert session.rows == [1, 4, 1]


def test_a_request_larger_than_what_is_left_waits_for_the_next_batch():
    session = Session()

    async def scenario(batcher: Batcher) -> None:
        tasks = await started(batcher, row(0), row(1, 3), row(2, 2), row(3, 2))
        session.gate.set()
        answers = await asyncio.gather(*tasks)
        assert [len(one.logits) for one in answers] == [1, 3, 2, 2]
        assert [one.logits[0, 0] for one in answers] == [0, 2, 4, 6]

    run(session, scenario)
    assert session.rows == [1, 3, 4]


def test_a_full_queue_says_when_to_come_again():
    session = Session()

    async def scenario(batcher: Batcher) -> None:
        tasks = await started(batcher, *(row(value) for value in range(9)))
        with pytest.raises(Refusal, match="overloaded, retry after") as refused:
            await batcher.answer(row(9))
        assert refused.value.retry_after > 0
        session.gate.set()
        assert len(await asyncio.gather(*tasks)) == 9

    run(session, scenario)


def test_a_request_whose_client_has_gone_is_left_out():
    session = Session()

    async def scenario(batcher: Batcher) -> None:
        tasks = await started(batcher, *(row(value) for value in range(4)))
        tasks[2].cancel()
        await asyncio.sleep(0)
        session.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers[2], asyncio.CancelledError)
        assert [answers[turn].logits[0, 0] for turn in (0, 1, 3)] == [0, 2, 6]

    run(session, scenario)
    assert session.rows == [1, 2]


def test_a_client_that_goes_while_its_batch_runs_harms_nobody():
    session = Session()

    async def scenario(batcher: Batcher) -> None:
        (first,) = await started(batcher, row(1))
        (second,) = await started(batcher, row(2))
        first.cancel()
        await asyncio.sleep(0)
        session.gate.set()
        assert (await second).logits[0, 0] == 4

    run(session, scenario)


def test_a_deadline_that_passes_in_the_queue_is_told_and_costs_nothing():
    session = Session()

    async def scenario(batcher: Batcher) -> None:
        tasks = await started(batcher, row(0))
        late = await started(batcher, row(1), seconds=0.001)
        await asyncio.sleep(0.02)
        session.gate.set()
        with pytest.raises(Refusal, match="deadline"):
            await late[0]
        await tasks[0]
        with pytest.raises(Refusal, match="deadline"):
            await batcher.answer(row(2), seconds=0)

    run(session, scenario)
    assert session.rows == [1]


def test_one_bad_row_does_not_take_the_others_with_it():
    session = Session(lambda batch: bool((batch == 3).any()))

    async def scenario(batcher: Batcher) -> None:
        tasks = await started(batcher, *(row(value) for value in range(5)))
        session.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers[3], ValueError)
        assert [answers[turn].logits[0, 0] for turn in (0, 1, 2, 4)] == [0, 2, 4, 8]

    run(session, scenario)


def test_a_drain_answers_what_was_taken_and_takes_nothing_more():
    session = Session()

    async def scenario(batcher: Batcher) -> None:
        tasks = await started(batcher, *(row(value) for value in range(5)))
        draining = asyncio.create_task(batcher.drain())
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="closing"):
            await batcher.answer(row(9))
        assert not draining.done()
        session.gate.set()
        await draining
        assert [one.result().logits[0, 0] for one in tasks] == [0, 2, 4, 6, 8]

    run(session, scenario)
