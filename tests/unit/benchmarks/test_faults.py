"""What the benchmark of faults derives from the calls that it saw."""

import subprocess
import sys
import time

import pytest
from benchmarks.load import Call, Kill, back_after, kept, only_in_flight, only_right


def steady(first: float, last: float, step: float = 0.01) -> list[Call]:
    """Right answers at a steady rate."""
    return [
        Call(first + turn * step, first + (turn + 1) * step, "right") for turn in range(round((last - first) / step))
    ]


def test_the_throughput_is_back_where_the_pause_ends():
    calls = [*steady(0, 2), *steady(3.2, 6)]
    assert back_after(calls, at=2, since=0) == pytest.approx(1.2, abs=0.02)
    assert back_after(steady(0, 4), at=2, since=0) == pytest.approx(0, abs=0.02)


def test_half_the_throughput_is_not_the_throughput():
    assert back_after([*steady(0, 2), *steady(2, 6, step=0.02)], at=2, since=0) is None


def test_one_wrong_answer_breaks_the_promise():
    assert kept(only_right(steady(0, 1))) == []
    assert kept(only_right([*steady(0, 1), Call(1, 2, "wrong")])) == ["every request answered rightly"]
    assert kept(only_right([])) == ["every request answered rightly"]


FLIGHT, SECOND, STRAY = (
    "a fault was seen",
    "at most one request of a connection fails",
    "only what was in flight at the end of the process",
)


@pytest.mark.parametrize(
    ("lost", "broken"),
    [
        ([[Call(1.9, 2.1, "UNAVAILABLE")], [Call(2.05, 2.2, "UNAVAILABLE")]], []),
        ([[], []], [FLIGHT]),
        ([[Call(1.9, 2.1, "UNAVAILABLE"), Call(2.1, 2.2, "UNAVAILABLE")], []], [SECOND]),
        ([[Call(2.11, 2.2, "UNAVAILABLE")], []], [STRAY]),
        ([[Call(1.5, 1.9, "wrong")], []], [STRAY]),
    ],
)
def test_a_kill_may_cost_what_was_in_flight_and_nothing_else(lost, broken):
    clients = [[*steady(0, 1), *calls, *steady(3, 4)] for calls in lost]
    assert kept(only_in_flight(clients, at=2.0, gone=2.1)) == broken


def test_the_end_of_a_process_is_seen():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        kill, at = Kill(process.pid), time.monotonic()
        kill()
        assert at <= kill.gone <= time.monotonic()
        assert process.wait(60) == -9
