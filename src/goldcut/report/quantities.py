"""Numbers as people read them: pure functions from a value to a short string.

A figure that is missing or not finite is shown as an en dash, so that a partial run still reads well.
"""

import math
from datetime import timedelta
from typing import TypeGuard

MISSING = "–"
_THIN = "\N{NO-BREAK SPACE}"


def count(value: float | None) -> str:
    """A count with a decimal prefix and three significant digits.

    Example:
        >>> count(1_234_567), count(950), count(None)
        ('1.23\\xa0M', '950', '–')
    """
    return _scaled(value, "", ("", "k", "M", "G", "T", "P"))


def size(value: float | None) -> str:
    """Bytes with a decimal prefix (1 kB = 1,000 B).

    Example:
        >>> size(32_768), size(12)
        ('32.8\\xa0kB', '12\\xa0B')
    """
    return _scaled(value, "B", ("", "k", "M", "G", "T", "P"))


def seconds(value: float | None) -> str:
    """A time on a link or of a computation.

    Example:
        >>> seconds(0.0123), seconds(4.2), seconds(3_700)
        ('12.3\\xa0ms', '4.2\\xa0s', '1:01:40')
    """
    if not known(value):
        return MISSING
    if value >= 120:
        return str(timedelta(seconds=round(value)))
    if value >= 1:
        return f"{value:.3g}{_THIN}s"
    return f"{value * 1e3:.3g}{_THIN}ms" if value >= 1e-3 or value == 0 else f"{value * 1e6:.3g}{_THIN}µs"


def percent(value: float | None) -> str:
    """A share as a percentage: whole from 10 % on, one decimal below and just before 100 %.

    Example:
        >>> percent(0.314), percent(0.052), percent(0.05), percent(0.998), percent(1)
        ('31\\xa0%', '5.2\\xa0%', '5\\xa0%', '99.8\\xa0%', '100\\xa0%')
    """
    if not known(value):
        return MISSING
    hundredths = value * 100
    if 0 < hundredths < 0.05:
        return f"<0.1{_THIN}%"
    if 99.5 <= hundredths < 100:
        return f"{min(hundredths, 99.9):.1f}{_THIN}%"
    text = f"{hundredths:.0f}" if abs(hundredths) >= 9.95 else f"{hundredths:.1f}".removesuffix(".0")
    return f"{'0' if text in ('-0', '-0.0') else text}{_THIN}%"


def interval(low: float | None, high: float | None) -> str:
    """The limits of a share, in brackets; empty when they are not known.

    Example:
        >>> interval(0.28, 0.34), interval(None, 0.3)
        ('(28–34\\xa0%)', '')
    """
    if not known(low) or not known(high):
        return ""
    between = " to " if low < 0 or high < 0 else "–"
    return f"({percent(low).removesuffix(f'{_THIN}%')}{between}{percent(high)})"


def share(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """A percentage with its interval behind it."""
    return f"{percent(value)} {interval(low, high)}".rstrip()


def number(value: float | None) -> str:
    """A plain figure with three significant digits, in powers of ten when it is extreme.

    Example:
        >>> number(0.04321), number(12345.6), number(2.5e-7)
        ('0.0432', '12,346', '2.5e-07')
    """
    if not known(value):
        return MISSING
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def dimensions(shape: tuple[int, ...]) -> str:
    """A shape as 64 × 8 × 8."""
    return " × ".join(str(length) for length in shape)


def listing(names: tuple[str, ...] | list[str], most: int = 6) -> str:
    """Names in a sentence; beyond `most` the rest is counted.

    Example:
        >>> listing(["a", "b", "c"]), listing(["a", "b", "c"], most=2)
        ('a, b and c', 'a, b and 1 more')
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


def plural(n: int, noun: str, nouns: str = "") -> str:
    """A count with its noun: "1 cut", "2 cuts"."""
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def known(value: float | None) -> TypeGuard[float]:
    """Whether there is a finite figure to show."""
    return value is not None and math.isfinite(value)


def _scaled(value: float | None, unit: str, prefixes: tuple[str, ...]) -> str:
    if not known(value):
        return MISSING
    step = 0
    while abs(value) >= 999.5 and step < len(prefixes) - 1:
        value, step = value / 1000, step + 1
    suffix = f"{prefixes[step]}{unit}"
    return f"{value:.3g}{_THIN if suffix else ''}{suffix}"
