"""An emulated link: what goes through is the same, and later as the link says."""

import socket
import threading
import time

import pytest

from goldcut.cost.link import Link
from goldcut.deploy.emulate import emulated
from goldcut.errors import DeployError

CONTENT = bytes(range(256)) * 200


@pytest.fixture
def echo():
    """A server that sends everything back once it has all of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def work() -> None:
            connection, _ = server.accept()
            with connection:
                content = b""
                while chunk := connection.recv(65536):
                    content += chunk
                connection.sendall(content)

        thread = threading.Thread(target=work)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def send(port: int) -> tuple[bytes, float]:
    """What comes back, and the seconds that it took."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(CONTENT)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer, time.monotonic() - started


def test_bytes_come_through_no_sooner_than_the_link_allows(echo):
    link = Link("slow", megabit_per_s=4, round_trip_ms=100)
    with emulated(link, "127.0.0.1", echo) as port:
        answer, seconds = send(port)
    assert answer == CONTENT
    assert seconds >= len(CONTENT) * 8 / 4e6 + 0.1


def test_a_server_that_is_not_there_ends_the_connection():
    with (
        emulated(Link("any", 100, 1), "127.0.0.1", 9) as port,
        socket.create_connection(("127.0.0.1", port)) as connection,
    ):
        assert connection.recv(1) == b""


def test_a_taken_port_is_refused(echo):
    with pytest.raises(DeployError, match="not to be had"), emulated(Link("any", 1, 1), "127.0.0.1", echo, listen=echo):
        pass
    send(echo)
