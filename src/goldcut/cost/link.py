"""Time on a link: a rate and a round trip, nothing else, so that everyone can check it."""

import re
from dataclasses import dataclass

from goldcut.errors import DataError

PATTERN = re.compile(r"(?P<rate>\d+(?:\.\d+)?)\s*(?P<unit>k|m|g)bit\s*,\s*(?P<trip>\d+(?:\.\d+)?)\s*ms", re.IGNORECASE)
MEGABIT = {"k": 1e-3, "m": 1.0, "g": 1e3}


@dataclass(frozen=True)
class Link:
    """A link from the device to the cloud.

    Args:
        name: How reports call it.
        megabit_per_s: Rate of payload from the device up, in 10^6 bits a second.
        round_trip_ms: Time of an empty message up and its answer down, in milliseconds.
        assumption: Where the two figures come from.
    """

    name: str
    megabit_per_s: float
    round_trip_ms: float
    assumption: str = "given by the user"

    def __post_init__(self) -> None:
        if not self.megabit_per_s > 0 or not self.round_trip_ms >= 0:
            raise DataError(
                f"link {self.name} has {self.megabit_per_s} Mbit/s and {self.round_trip_ms} ms, "
                "expected a rate above 0 and a round trip of at least 0",
                "Give it as 10mbit,40ms.",
            )


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link(
            "lte",
            10,
            50,
            "a usual mobile uplink: public speed tests of 4G networks report medians of 5 to 15 Mbit/s up",
        ),
        Link(
            "5g",
            25,
            25,
            "a usual mobile uplink: public speed tests of mid-band 5G report medians of 15 to 40 Mbit/s up",
        ),
        Link("wifi", 50, 15, "a shared Wi-Fi 5 network behind a fixed line of 50 Mbit/s up, a cloud region near by"),
        Link("lan", 1000, 1, "gigabit Ethernet to a server in the same building: the nominal rate"),
        Link("iot", 0.3, 100, "LTE-M (LTE Cat-M1): its nominal peak in half duplex is 0.375 Mbit/s up"),
    )
}
"""Links for a first estimate, by name. They are assumptions in round figures, not measurements: give your own."""


def parse_link(text: str) -> Link:
    """A link by its name in LINKS, or from a rate and a round trip.

    Raises:
        DataError: It is neither.

    Example:
        >>> parse_link("10mbit,40ms").megabit_per_s
        10.0
    """
    if text in LINKS:
        return LINKS[text]
    match = PATTERN.fullmatch(text.strip())
    if match is None:
        raise DataError(f"no link {text!r}", f"Give a rate and a round trip like 10mbit,40ms, or {', '.join(LINKS)}.")
    return Link(text, float(match["rate"]) * MEGABIT[match["unit"].lower()], float(match["trip"]))


def transfer_seconds(payload_bytes: float, link: Link) -> float:
    """Seconds from sending a payload until an answer of negligible size is back: bits / rate + round trip.

    Start-up of connections, headers, loss and sharing are left out, so it is a lower bound on that link.

    Example:
        >>> transfer_seconds(1_250_000, Link("ten", 10, 40))
        1.04
    """
    return payload_bytes * 8 / (link.megabit_per_s * 1e6) + link.round_trip_ms / 1e3
