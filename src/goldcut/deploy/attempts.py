"""A request until it is answered, refused or late: the connection, the pauses, and where the time went."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from goldcut.deploy.manifest import read_file
from goldcut.errors import DeployError, MissingExtra

PUSHBACK = "grpc-retry-pushback-ms"
"""Trailer with which a server says when to try again (gRFC A6)."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds before the second attempt, and at most before any, unless the server asks for more."""

STAGES = ("edge", "codec", "network", "cloud")

AGAIN = ("UNAVAILABLE", "CANCELLED")
"""Codes after which another attempt makes sense: the server is gone, overloaded, or stopped before it took the request
up. The client never cancels, and asking twice does no harm."""

UNREACHED = "Check the address and that `goldcut serve` runs there."
"""What to do where nobody answers."""

CURES = {
    "DEADLINE_EXCEEDED": "Give a longer deadline, or look at the server's load.",
    "UNAUTHENTICATED": "Give the token that the server knows.",
    "NOT_FOUND": "Serve the same export that the device has.",
}
"""gRPC code -> what to do."""


@dataclass(frozen=True)
class Tls:
    """How the client knows the server, and the server the client.

    Args:
        ca: PEM of the authorities to trust; the system's when None.
        certificate: PEM of the client's own certificate.
        key: PEM of its key.
        name: Host that the server's certificate must name; that of the address when None.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None


@dataclass(eq=False)
class Tally:
    """What the requests of one call took.

    Attributes:
        seconds: By stage.
        request_ids: One a request.
        attempts: Requests that were sent.
        payload_bytes: Bytes of Z on the wire.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    request_ids: list[str] = field(default_factory=list)
    attempts: int = 0
    payload_bytes: int = 0


@dataclass(eq=False)
class Attempt:
    """One try of a request.

    Args:
        address: Of the server, for messages.
        until: time.monotonic() at which nobody waits any more.
        pause: Seconds before the next try, about.
        tally: Where the time is booked.
    """

    address: str
    until: float
    pause: float
    tally: Tally

    def __post_init__(self) -> None:
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Until the deadline of all tries."""
        return max(0.001, self.until - self.started)

    def book(self, server_seconds: float) -> None:
        """Note an answer for which the server needed so long; the rest was the network."""
        total = time.monotonic() - self.started
        cloud = min(total, server_seconds)
        self.tally.seconds["cloud"] += cloud
        self.tally.seconds["network"] += total - cloud

    def pause_after(self, error: Any) -> float:
        """Seconds to wait before the next try.

        Raises:
            DeployError: There is no sense in another: the request was refused, or the deadline is over.
        """
        code, now = error.code().name, time.monotonic()
        self.tally.seconds["network"] += now - self.started
        if code not in AGAIN:
            raise DeployError(f"{self.address} refuses: {error.details()} ({code})", CURES.get(code, "")) from error
        asked = dict(error.trailing_metadata() or ()).get(PUSHBACK, "")
        pause = max(self.pause * random.uniform(0.5, 1.5), int(asked) / 1e3 if asked.isdigit() else 0.0)
        if now + pause >= self.until:
            raise DeployError(
                f"{self.address} did not answer in time, after {self.tally.attempts} attempts: {error.details()}",
                UNREACHED,
            ) from error
        return pause


def attempts(address: str, deadline: float, tally: Tally) -> Iterator[Attempt]:
    """Tries without end, with growing pauses; the last one is ended by the deadline."""
    until, pause = time.monotonic() + deadline, FIRST_PAUSE
    while True:
        tally.attempts += 1
        yield Attempt(address, until, pause, tally)
        pause = min(2 * pause, LONGEST_PAUSE)


def load_grpc() -> Any:
    """The module grpc, with grpc.aio.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import google.protobuf  # noqa: F401
        import grpc
        import grpc.aio
    except ImportError as error:
        raise MissingExtra("grpcio", "serve") from error
    return grpc


def parse_url(url: str, tls: Tls) -> tuple[str, Callable[[Any], Any]]:
    """The address, and a function that opens a channel to it with grpc or grpc.aio.

    Raises:
        DeployError: It is no address, or a certificate cannot be read.
    """
    try:
        parts = urlsplit(url)
        place = (parts.scheme, parts.hostname, parts.port)
    except ValueError:
        place = ("", None, None)
    if place[0] not in ("grpc", "grpcs") or not place[1] or not place[2] or parts.path.strip("/"):
        raise DeployError(f"{url!r} is no address", "Give grpc://host:port, or grpcs://host:port for TLS.")
    if place[0] == "grpc" and tls != Tls():
        raise DeployError(f"{url} is a connection without TLS, and certificates came", "Give grpcs://host:port.")
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", 64 * 2**20),
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.min_reconnect_backoff_ms", 2000),  # also the patience of one attempt to connect
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),  # a connection of its own, however many clients a process has
    ]
    if place[0] == "grpc":
        return parts.netloc, lambda kind: kind.insecure_channel(parts.netloc, options=options)
    ca, certificate, key = (
        None if path is None else read_file(path, "Give a file that can be read.")
        for path in (tls.ca, tls.certificate, tls.key)
    )
    if (certificate is None) != (key is None):
        raise DeployError("a client certificate needs its key", "Give --tls-cert and --tls-key together.")
    if tls.name is not None:
        options.append(("grpc.ssl_target_name_override", tls.name))
    credentials = load_grpc().ssl_channel_credentials(ca, key, certificate)
    return parts.netloc, lambda kind: kind.secure_channel(parts.netloc, credentials, options=options)
