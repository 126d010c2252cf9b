"""The defences by the name that the command line gives them."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from goldcut.defenses.base import Defense
from goldcut.defenses.noise import GaussianNoise, LaplaceNoise
from goldcut.defenses.quantise import Quantise
from goldcut.defenses.sparse import Dropout, TopK
from goldcut.errors import DataError


@dataclass(frozen=True)
class Kind:
    """How a defence is read: from a number within limits.

    Attributes:
        build: The defence of a number.
        low, high: Limits of the number, not included.
        whole: Whether it is a whole number.
        example: A spec.
    """

    build: Callable[[float], Defense]
    low: float
    high: float
    whole: bool
    example: str


DEFENSES = {
    "noise": Kind(GaussianNoise, 0, float("inf"), False, "noise:0.3"),
    "laplace": Kind(LaplaceNoise, 0, float("inf"), False, "laplace:0.3"),
    "dropout": Kind(Dropout, 0, 1, False, "dropout:0.5"),
    "topk": Kind(TopK, 0, 1, False, "topk:0.1"),
    "quantise": Kind(lambda bits: Quantise(int(bits)), 0, 17, True, "quantise:4"),
}


def read_defense(spec: str) -> Defense:
    """The defence of a spec.

    Raises:
        DataError: There is no such defence, or its number is out of range.

    Example:
        >>> read_defense("noise:0.3")
        GaussianNoise(level=0.3)
    """
    name, _, number = spec.partition(":")
    kind = DEFENSES.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, DEFENSES, n=1) or list(DEFENSES)
        raise DataError(f"there is no defence {name!r}", f"Write {' or '.join(DEFENSES[one].example for one in near)}.")
    try:
        value = float(number)
    except ValueError:
        raise DataError(f"{spec!r} has no strength", f"Write one after the colon, as in {kind.example}.") from None
    if not kind.low < value < kind.high or (kind.whole and value != int(value)):
        wanted = "a whole number" if kind.whole else "a number"
        above = f" and below {kind.high:g}" if kind.high < float("inf") else ""
        raise DataError(
            f"{spec!r} is out of range", f"Write {wanted} above {kind.low:g}{above}, such as {kind.example}."
        )
    return kind.build(value)
