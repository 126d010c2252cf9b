"""Relative drops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldcut.zone.drops import relative_drops


def test_a_drop_is_relative_to_what_was_before() -> None:
    assert relative_drops([8.0, 4.0, 5.0, 0.0, 3.0]) == (0.5, -0.25, 1.0, 0.0)
    assert relative_drops([8.0]) == ()


@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=9), st.floats(0.01, 100))
def test_drops_rebuild_the_curve_and_ignore_a_common_scale(curve: list[float], scale: float) -> None:
    value = curve[0]
    for drop, after in zip(relative_drops(curve), curve[1:], strict=True):
        value *= 1 - drop
        assert value == pytest.approx(after, rel=1e-6, abs=1e-6)
    assert relative_drops([scale * each for each in curve]) == pytest.approx(relative_drops(curve), abs=1e-9)
