"""Numbers as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldcut.report import quantities as q


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (q.count(1_234_567), "1.23 M"),
        (q.count(999_999), "1 M"),
        (q.count(11), "11"),
        (q.size(34_000), "34 kB"),
        (q.size(12), "12 B"),
        (q.seconds(0.0123), "12.3 ms"),
        (q.seconds(3e-5), "30 µs"),
        (q.seconds(75), "75 s"),
        (q.seconds(3700), "1:01:40"),
        (q.percent(0.314), "31 %"),
        (q.percent(0.0999), "10 %"),
        (q.percent(0.0524), "5.2 %"),
        (q.percent(0.9987), "99.9 %"),
        (q.percent(0.99999), "99.9 %"),
        (q.percent(1), "100 %"),
        (q.percent(0), "0 %"),
        (q.percent(0.0001), "<0.1 %"),
        (q.percent(-0.0001), "0 %"),
        (q.percent(-0.21), "-21 %"),
        (q.interval(0.28, 0.34), "(28–34 %)"),
        (q.interval(-0.02, 0.34), "(-2 to 34 %)"),
        (q.interval(None, 0.34), ""),
        (q.share(0.3, 0.28, 0.34), "30 % (28–34 %)"),
        (q.share(0.3), "30 %"),
        (q.number(12_345.6), "12,346"),
        (q.number(0.04321), "0.0432"),
        (q.number(0), "0"),
        (q.dimensions((3, 8, 8)), "3 × 8 × 8"),
        (q.listing([]), ""),
        (q.listing(["a"]), "a"),
        (q.listing(["a", "b", "c"]), "a, b and c"),
        (q.listing(list("abcdefgh"), 3), "a, b, c and 5 more"),
        (q.plural(1, "cut"), "1 cut"),
        (q.plural(2_000, "class", "classes"), "2,000 classes"),
    ],
)
def test_reads_well(text: str, expected: str) -> None:
    assert text.replace("\N{NO-BREAK SPACE}", " ") == expected


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("show", [q.count, q.size, q.seconds, q.percent, q.number])
def test_shows_a_dash_for_what_is_not_known(show: object, value: float | None) -> None:
    assert callable(show)
    assert show(value) == q.MISSING


@given(st.floats(-2, 2))
def test_percent_is_right_to_its_last_digit(value: float) -> None:
    text = q.percent(value).replace("\N{NO-BREAK SPACE}", "").removesuffix("%")
    shown = float(text.removeprefix("<"))
    assert abs(shown - 100 * value) <= (0.5 if abs(value) >= 0.0995 else 0.1) + 1e-9


@given(st.integers(0, 10**16))
def test_count_is_right_to_three_digits(value: int) -> None:
    figure, _, prefix = q.count(value).partition("\N{NO-BREAK SPACE}")
    shown = float(figure) * 1000 ** ["", "k", "M", "G", "T", "P"].index(prefix)
    assert shown == pytest.approx(value, rel=5.1e-3)
