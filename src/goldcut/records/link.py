"""What `goldcut link --json` prints."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class LinkRecord:
    """A link, measured with an export's own Z.

    Attributes:
        url: Of the server.
        emulated: The link that was emulated on the way; None for none.
        round_trip_ms: Median of an empty call and its answer.
        megabit_per_s: Rate of Z going up; None where more bytes take no more time.
        sample_ms: Median time on the network of a request of one sample.
        sample_bytes: Its Z.
        batch_ms: The same of a larger request.
        batch_bytes: Its Z.
        repeats: Requests of each size.
    """

    schema: Literal["goldcut.link/1"] = "goldcut.link/1"
    url: str
    emulated: str | None = None
    round_trip_ms: float
    megabit_per_s: float | None = None
    sample_ms: float
    sample_bytes: int
    batch_ms: float
    batch_bytes: int
    repeats: int
