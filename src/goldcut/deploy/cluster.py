"""Ray under `goldcut serve --engine ray`: started for this machine alone, or a cluster that is joined; quiet in both.

No dashboard, no usage statistics, and what Ray says goes into our log.
"""

import contextlib
import io
import logging
import os
import re
import secrets
import socket
import tempfile
from pathlib import Path
from typing import Any

from goldcut.deploy.service import LOG
from goldcut.errors import DeployError, MissingExtra

STORE_BYTES = 128 * 2**20
"""Of Ray's object store on one machine, beside the cloud half: for requests that are too large for a message."""

CONNECT_SECONDS = 5.0
QUIET = ("ray", "ray.serve")
"""Loggers with ways of their own."""

PROBE = "/ray.rpc.NodeInfoGcsService/CheckAlive"


def load_ray(*, alone: bool) -> Any:
    """The module ray with ray.serve, quiet.

    Args:
        alone: Whether it is for this machine alone: then with a key of its own, which nobody else needs to know.

    Raises:
        MissingExtra: One of them is not installed.
    """
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        RAY_SERVE_LOG_TO_STDERR="0",
        RAY_ENABLE_AUTO_CONNECT="0",
        RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP="1",
    )
    if alone:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  by default replicas come last on a busy machine
    try:
        import ray
        import ray.serve
    except ImportError as error:
        raise MissingExtra("ray[serve]", "cluster") from error
    for name in QUIET:
        log = logging.getLogger(name)
        log.handlers[:] = [_Logged()]
        log.propagate = False
        log.setLevel(logging.WARNING)
    return ray


def start_ray(ray: Any, held: contextlib.ExitStack, cpus: int, half_bytes: int) -> None:
    """Start Ray on this machine alone, in a folder of its own; both end with `held`.

    Args:
        ray: The module.
        held: What is undone at the end.
        cpus: How many it may give to replicas.
        half_bytes: Of what the replicas are given.

    Raises:
        DeployError: It does not start.
    """
    folder = held.enter_context(tempfile.TemporaryDirectory(prefix="goldcut-ray.", ignore_cleanup_errors=True))
    held.callback(_shut_down, ray)
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=0,
            object_store_memory=STORE_BYTES + 2 * half_bytes,
            include_dashboard=False,
            configure_logging=False,
            log_to_driver=False,
            _temp_dir=folder,
        )
    except Exception as error:  # whatever of the machine it does not like
        raise DeployError(
            f"Ray cannot be started here: {short(error)}", "See the machine's memory and disk."
        ) from error


def join_cluster(ray: Any, held: contextlib.ExitStack, address: str) -> int:
    """Become a part of a cluster until `held` ends; gives its CPUs.

    Args:
        ray: The module.
        held: What is undone at the end.
        address: host:port of its head.

    Raises:
        DeployError: It is not there, or does not take this machine.
    """
    _probe(address)
    held.callback(_shut_down, ray)
    try:
        ray.init(address=address, configure_logging=False, log_to_driver=False)
    except Exception as error:
        raise DeployError(
            f"the Ray cluster at {address} cannot be joined: {short(error)}",
            "Run this on one of its nodes, with its versions of Python and Ray and its token.",
        ) from error
    return int(ray.cluster_resources().get("CPU", 0))


def _shut_down(ray: Any) -> None:
    """End or leave Ray, without the complaints of what is cut off from it."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ray.shutdown()


def _probe(address: str) -> None:
    """Refuse an address at which no head of a cluster answers; Ray itself tries for minutes.

    Raises:
        DeployError: With what was found there.
    """
    import grpc

    cure = "Give --cluster the HOST:PORT of the cluster's head, as `ray start --head` prints it."
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or "/" in host:
        raise DeployError(f"{address!r} is no address of a Ray cluster", cure)
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise DeployError(f"there is no Ray cluster at {address}: {short(error)}", cure) from error
    if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
        return
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            shown = [("authorization", f"Bearer {_token()}")]
            channel.unary_unary(PROBE)(b"", timeout=CONNECT_SECONDS, wait_for_ready=True, metadata=shown)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise DeployError(
                    f"the Ray cluster at {address} does not know our token", "Set RAY_AUTH_TOKEN to the cluster's."
                ) from error
            raise DeployError(f"what listens at {address} is no head of a Ray cluster", cure) from error


def _token() -> str:
    """The token where Ray itself looks for it; empty where there is none."""
    if given := os.environ.get("RAY_AUTH_TOKEN"):
        return given
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip()
    return ""


class _Logged(logging.Handler):
    """What Ray logs, as a line of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        LOG.log(record.levelno, "ray", extra={"fields": {"said": short(record.getMessage())}})


class Said(io.StringIO):
    """What Ray prints, as a line of ours: standard output is for the line that says where the server listens."""

    def write(self, text: str) -> int:
        if said := short(re.sub(r"\x1b\[[0-9;]*m", "", text)):
            LOG.warning("ray", extra={"fields": {"said": said}})
        return len(text)


def short(error: Exception | str) -> str:
    """A message of Ray in one line."""
    return " ".join(str(error).split())[:240]
