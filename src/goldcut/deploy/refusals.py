"""Why a request is not answered, once for both transports."""

from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "invalid", "not_found", "unauthenticated", "too_large", "too_slow", "late", "overloaded", "closing", "lost"
]


@dataclass(frozen=True)
class Terms:
    """What a reason is called on each transport.

    Attributes:
        http: Status of REST.
        grpc: Name of the code of gRPC.
    """

    http: int
    grpc: str


TERMS: dict[Reason, Terms] = {
    "invalid": Terms(400, "INVALID_ARGUMENT"),
    "not_found": Terms(404, "NOT_FOUND"),
    "unauthenticated": Terms(401, "UNAUTHENTICATED"),
    "too_large": Terms(413, "INVALID_ARGUMENT"),
    "too_slow": Terms(408, "DEADLINE_EXCEEDED"),
    "late": Terms(504, "DEADLINE_EXCEEDED"),
    "overloaded": Terms(503, "UNAVAILABLE"),
    "closing": Terms(503, "UNAVAILABLE"),
    "lost": Terms(503, "UNAVAILABLE"),
}
"""The first five are the client's fault; of the others a client may try again after the last three."""


class Refusal(Exception):
    """A request that is not answered.

    Args:
        reason: One of TERMS.
        sentence: What was expected and what came.
        retry_after: Seconds until another attempt makes sense; None where none does.
    """

    def __init__(self, reason: Reason, sentence: str, retry_after: float | None = None) -> None:
        self.reason: Reason = reason
        self.sentence = sentence
        self.retry_after = retry_after
        super().__init__(sentence)


def closing() -> Refusal:
    """Of a server that was told to stop."""
    return Refusal("closing", "the server is closing; try another one", retry_after=0.05)


def overloaded(seconds: float) -> Refusal:
    """Of a server with a full queue.

    Args:
        seconds: Until what waits is answered, about.
    """
    after = max(0.05, seconds)
    return Refusal("overloaded", f"overloaded, retry after {after:.2f} seconds", retry_after=after)
