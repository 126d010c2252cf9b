"""Time on a link, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldcut.cost.link import LINKS, Link, parse_link, transfer_seconds
from goldcut.errors import DataError


@pytest.mark.parametrize(
    ("text", "rate", "trip"),
    [("10mbit,40ms", 10, 40), ("2.5 Mbit, 7.5 ms", 2.5, 7.5), ("300kbit,100ms", 0.3, 100), ("1gbit,0ms", 1000, 0)],
)
def test_links_are_read_from_text(text: str, rate: float, trip: float) -> None:
    link = parse_link(text)
    assert (link.megabit_per_s, link.round_trip_ms) == pytest.approx((rate, trip))


def test_constants_are_found_by_name_and_say_what_they_assume() -> None:
    for name, link in LINKS.items():
        assert parse_link(name) is link
        assert len(link.assumption) > 20


@pytest.mark.parametrize("text", ["", "10", "10mbit", "40ms,10mbit", "-1mbit,4ms", "10mb,40ms"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="10mbit,40ms"):
        parse_link(text)


def test_impossible_links_are_refused() -> None:
    for rate, trip in [(0, 1), (1, -1), (float("nan"), 1)]:
        with pytest.raises(DataError, match="rate above 0"):
            Link("odd", rate, trip)


@given(st.floats(0, 1e9), st.floats(1e-3, 1e5), st.floats(0, 1e4))
def test_seconds_are_bits_over_rate_plus_the_round_trip(payload: float, rate: float, trip: float) -> None:
    link = Link("any", rate, trip)
    assert transfer_seconds(payload, link) == pytest.approx(payload * 8 / rate / 1e6 + trip / 1000)
    assert transfer_seconds(2 * payload, link) >= transfer_seconds(payload, link) >= trip / 1000
