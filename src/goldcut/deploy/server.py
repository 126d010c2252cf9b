"""The server of a cloud half: gRPC and HTTP on one service, and a drain when it is told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from goldcut.deploy.access import Access
from goldcut.deploy.logs import HTTP_LOG
from goldcut.deploy.manifest import Export
from goldcut.deploy.service import LOG, Service
from goldcut.deploy.session import Engine, open_session
from goldcut.errors import DeployError, MissingExtra

DRAIN_SECONDS = 30.0
IDLE_SECONDS = 75.0
SWEEP_SECONDS = 1.0
CONNECTION_SECONDS = 60.0
"""After this time a client is asked to connect anew, so that a worker or a replica that is new gets its share."""

MOST_STREAMS = 256
"""Requests on the way on one connection; each may hold a message that has come in part."""


@dataclass(frozen=True)
class Place:
    """Where and how much a server takes.

    Args:
        host: Address to listen on.
        port: Of gRPC; 0 for any that is free.
        http_port: Of HTTP; 0 for any that is free.
        most_rows: Rows of a request and of a batch, at most.
        most_waiting: Rows in the queue of a worker, at most.
        threads: Of one run of the cloud half.
        body_seconds: For a body to be complete, and for the first header of a connection.
        shared: Whether other workers listen on the same ports.
        parent: Process without which the worker is to end; None for none.
    """

    host: str = "127.0.0.1"
    port: int = 8001
    http_port: int = 8000
    most_rows: int = 32
    most_waiting: int = 256
    threads: int = 1
    body_seconds: float = 10.0
    shared: bool = False
    parent: int | None = None

    @property
    def loopback(self) -> bool:
        """Whether nobody else can connect."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


def run_server(
    export: Export, access: Access, place: Place, told: Callable[[str], None], engine: Engine | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was taken.

    Args:
        export: Whose cloud half is served.
        access: Who may ask.
        place: Where.
        told: Given the line that says where the server listens, once it is ready.
        engine: What runs the cloud half; a session in this process when None.

    Raises:
        DeployError: The cloud half is not that of the manifest, or a port is taken.
        MissingExtra: A package of the extra `serve` is not installed.
    """
    check_packages()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(export, access, place, told, engine))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop, which takes less of the time between requests; None where it is not made for the system."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def check_packages() -> None:
    """Refuse to start where a package of the extra is missing.

    Raises:
        MissingExtra: The first one that is.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines on standard error are no JSON
    for package in ("grpc", "google.protobuf", "aiohttp", "prometheus_client"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtra(package, "serve") from error


async def _serve(
    export: Export, access: Access, place: Place, told: Callable[[str], None], engine: Engine | None
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = engine or open_session(
        export, most_rows=place.most_rows, most_waiting=place.most_waiting, threads=place.threads
    )
    service = Service(export, access, engine, most_rows=place.most_rows)
    async with _grpc(service, place) as port, _http(service, place) as http_port:
        service.ready = True
        scheme, web_scheme = ("grpcs", "https") if access.certificate else ("grpc", "http")
        line = f"ready {scheme}://{place.host}:{port} {web_scheme}://{place.host}:{http_port}"
        LOG.info("ready", extra={"fields": {"grpc": port, "http": http_port, "pid": os.getpid()}})
        told(line)
        orphaned = asyncio.create_task(_watch_parent(place.parent, stop))
        await stop.wait()
        orphaned.cancel()
        LOG.info("draining")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await service.drain()
    LOG.info("stopped")


async def _watch_parent(parent: int | None, stop: asyncio.Event) -> None:
    """Stop when the supervisor is gone, so that no worker is left on the port."""
    while parent is not None and os.getppid() == parent:
        await asyncio.sleep(SWEEP_SECONDS)
    if parent is not None:
        stop.set()


@contextlib.asynccontextmanager
async def _grpc(service: Service, place: Place) -> Any:
    """The gRPC server while it is inside; gives the port."""
    import grpc

    from goldcut.deploy.rpc import Rpc

    options = [
        ("grpc.max_receive_message_length", service.most_bytes),
        ("grpc.so_reuseport", int(place.shared)),
        ("grpc.max_connection_age_ms", int(CONNECTION_SECONDS * 1e3)),
        ("grpc.max_connection_age_grace_ms", int(DRAIN_SECONDS * 1e3)),  # then half a message is held no longer
        ("grpc.max_concurrent_streams", MOST_STREAMS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((Rpc(service).handlers(),))
    address = f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"
    pem = service.access.pem()
    service.access.context()  # tells of files that make no TLS server, which gRPC takes for a taken port
    try:
        if pem is None:
            port = server.add_insecure_port(address)
        else:
            key, chain, authorities = pem
            credentials = grpc.ssl_server_credentials([(key, chain)], authorities, authorities is not None)
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise DeployError(f"gRPC cannot listen on {address}: {error}", "Free the port, or give --port.") from error
    await server.start()
    try:
        yield port
    finally:
        await server.stop(DRAIN_SECONDS)


@contextlib.asynccontextmanager
async def _http(service: Service, place: Place) -> Any:
    """The HTTP server while it is inside; gives the port."""
    from aiohttp import web

    from goldcut.deploy.rest import Rest

    def make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        active.add(protocol)
        return web.BaseRequest(
            message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=service.most_bytes
        )

    rest = Rest(service, place.body_seconds)
    active: set[Any] = set()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await rest(request)
        finally:
            active.discard(request.protocol)
            fresh[request.protocol] = asyncio.get_running_loop().time() + IDLE_SECONDS

    server = web.Server(
        handle,
        request_factory=make_request,
        handler_cancellation=True,
        access_log=None,
        logger=HTTP_LOG,
        auto_decompress=False,
        keepalive_timeout=IDLE_SECONDS,
        lingering_time=0.0,
    )
    fresh: dict[Any, float] = {}
    sock = _listen(place)
    listener = await asyncio.get_running_loop().create_server(server, sock=sock, ssl=service.access.context())
    sweeper = asyncio.create_task(_close_silent(server, active, fresh, place.body_seconds))
    try:
        yield sock.getsockname()[1]
    finally:
        listener.close()
        sweeper.cancel()
        server.pre_shutdown()
        await server.shutdown(DRAIN_SECONDS)


async def _close_silent(server: Any, active: set[Any], fresh: dict[Any, float], first: float) -> None:
    """Close connections whose next request does not come, so that half a header holds nothing."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = asyncio.get_running_loop().time()
        open_now = set(server.connections)
        active.intersection_update(open_now)  # what was no HTTP never came to be handled
        for gone in fresh.keys() - open_now:
            del fresh[gone]
        for connection in open_now - active:
            if fresh.setdefault(connection, now + first) < now:
                connection.force_close()


def _listen(place: Place) -> socket.socket:
    """A listening socket for HTTP.

    Raises:
        DeployError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if place.shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((place.host, place.http_port))
        sock.listen(512)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise DeployError(
            f"HTTP cannot listen on {place.host}:{place.http_port}: {error.strerror or error}",
            "Free the port, or give --http-port.",
        ) from error
    return sock
