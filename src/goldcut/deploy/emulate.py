"""A link as a proxy in between: what goes up leaves at the link's rate, and every byte is half a round trip late."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from goldcut.cost.link import Link
from goldcut.errors import DeployError

CHUNK = 16 * 1024
CLOSING_SECONDS = 0.05
"""For what was closed to be gone before the loop ends."""

WAITING = 64
"""Chunks that are on their way in one direction before the sender has to wait."""


@contextlib.contextmanager
def emulated(link: Link, host: str, port: int, *, listen: int = 0) -> Iterator[int]:
    """A port on this machine that leads to a server over an emulated link, while it is inside.

    Loss, jitter and the start of a connection are left out, as in `goldcut.cost.link`.

    Args:
        link: Rate up and round trip.
        host: Of the server.
        port: Of the server.
        listen: Port to listen on; 0 for any that is free.

    Raises:
        DeployError: The port is taken.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="link", daemon=True)
    thread.start()
    proxy = _Proxy(link, host, port)
    try:
        yield asyncio.run_coroutine_threadsafe(proxy.open(listen), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(proxy.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Proxy:
    """Both directions of every connection."""

    def __init__(self, link: Link, host: str, port: int) -> None:
        self._place = (host, port)
        self._rate = link.megabit_per_s * 1e6 / 8
        self._delay = link.round_trip_ms / 2e3
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def open(self, listen: int) -> int:
        """Begin to listen; gives the port.

        Raises:
            DeployError: The port is taken.
        """
        try:
            self._server = await asyncio.start_server(self.connect, "127.0.0.1", listen)
        except OSError as error:
            raise DeployError(f"127.0.0.1:{listen} is not to be had: {error.strerror}", "Give another port.") from error
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin to serve one connection; asyncio complains of a task of its own that is cancelled."""
        task = asyncio.get_running_loop().create_task(self._join(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client until both sides have ended it."""
        sides = [writer]
        try:
            back, forth = await asyncio.open_connection(*self._place)
            sides.append(forth)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, forth, self._rate))
                group.create_task(self._carry(back, writer, float("inf")))
        except* OSError:
            pass  # one side is not there, or no longer: the other sees its connection end
        finally:
            for side in sides:
                side.close()

    async def close(self) -> None:
        """Listen no more and end what is still open."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await asyncio.sleep(CLOSING_SECONDS)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float) -> None:
        """Carry bytes one way: each chunk leaves when those before it have left, and arrives later."""
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WAITING)
        loop = asyncio.get_running_loop()
        free = 0.0
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(way, writer))
            while chunk := await reader.read(CHUNK):
                free = max(loop.time(), free) + len(chunk) / rate
                await way.put((free + self._delay, chunk))
            await way.put((0.0, b""))

    async def _deliver(self, way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        """Write each chunk when it is due, then end this direction; the other one may go on."""
        loop = asyncio.get_running_loop()
        while True:
            due, chunk = await way.get()
            if not chunk:
                break
            await asyncio.sleep(max(0.0, due - loop.time()))
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
