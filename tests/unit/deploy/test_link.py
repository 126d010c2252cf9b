"""An emulated link: what goes through is the same, and later as the link says."""

import socket
import struct
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


def test_a_server_that_dies_in_the_middle_ends_the_connection():
    """More waits than the proxy holds, so that nobody takes it any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def die() -> None:
            connection, _ = server.accept()
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        thread = threading.Thread(target=die)
        thread.start()
        with (
            emulated(Link("slow", 2, 1), "127.0.0.1", server.getsockname()[1]) as port,
            socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
            pytest.raises(ConnectionError),  # and not by its time limit, as where the proxy goes on waiting
        ):
            connection.sendall(1000 * CONTENT)
        thread.join()


def test_a_taken_port_is_refused(echo):
    with pytest.raises(DeployError, match="not to be had"), emulated(Link("any", 1, 1), "127.0.0.1", echo, listen=echo):
        pass
    send(echo)
