"""What the benchmark of faults derives from the calls that it saw."""

import pytest
from benchmarks.faults import Call, back_after, kept, only_right


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
