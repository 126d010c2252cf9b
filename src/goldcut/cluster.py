"""A Ray cluster: joined, or started for this machine alone.

Whatever runs on it, sweeps or replicas of a cloud half, comes in here: nothing is sent to Ray's makers, a Ray that is
started here has a key that nobody else has, and an address at which no cluster answers is refused in seconds.
"""

import contextlib
import logging
import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from goldcut.errors import ClusterError, MissingExtra

LOCAL = "local"
"""The address that starts Ray on this machine, for as long as the command lasts."""

START = "Start one with `ray start --head` and give its HOST:PORT, or write --cluster local."
NODE = "Run this on one of its nodes, with its versions of Python and Ray and its token."

KNOCK_SECONDS = 5.0
"""Seconds that a cluster has to answer at its address."""

PROBE = "/ray.rpc.NodeInfoGcsService/CheckAlive"

STORE_BYTES = 128 * 2**20
"""Of the object store of a Ray that is started here, beside what its caller puts there."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",
}
"""Environment in which Ray is imported and started, where the user has not set it."""


def import_ray(*, alone: bool) -> ModuleType:
    """Ray; for this machine alone with a key that nobody else has, which it reads once, when it is imported first.

    Raises:
        MissingExtra: It is not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    if alone and "ray" not in sys.modules:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "cluster") from error
    module: ModuleType = ray
    return module


def check_cluster(address: str) -> None:
    """See in seconds that Ray is installed and that somebody answers, before any long work.

    Raises:
        MissingExtra, ClusterError: It is not so.
    """
    import_ray(alone=address == LOCAL)
    if address != LOCAL:
        find_cluster(address)


def start_ray(ray: ModuleType, held: contextlib.ExitStack, *, cpus: int, store_bytes: int = 0) -> None:
    """Start Ray on this machine alone, in a folder of its own; both end with `held`.

    Args:
        ray: The module.
        held: What is undone at the end.
        cpus: How many it may give away.
        store_bytes: Of what its caller will put into the object store.

    Raises:
        ClusterError: It does not start.
    """
    folder = held.enter_context(tempfile.TemporaryDirectory(prefix="goldcut-ray.", ignore_cleanup_errors=True))
    held.callback(ray.shutdown)
    try:
        ray.init(
            address=LOCAL,
            num_cpus=cpus,
            object_store_memory=STORE_BYTES + store_bytes,
            include_dashboard=False,
            configure_logging=False,
            log_to_driver=False,
            _temp_dir=folder,
        )
    except Exception as error:  # whatever of the machine it does not like
        raise ClusterError(
            f"Ray cannot be started here: {short(error)}", "See the machine's memory and disk."
        ) from error


def join_cluster(ray: ModuleType, held: contextlib.ExitStack, address: str) -> None:
    """Become a part of a cluster until `held` ends.

    Args:
        ray: The module.
        held: What is undone at the end.
        address: HOST:PORT of its head, or "auto".

    Raises:
        ClusterError: It is not there, or does not take this machine.
    """
    address = find_cluster(address)
    held.callback(ray.shutdown)
    try:
        ray.init(address=address, configure_logging=False, log_to_driver=False)
    except Exception as error:  # whatever of the cluster it does not like
        raise ClusterError(f"the Ray cluster at {address} cannot be joined: {short(error)}", NODE) from error


def find_cluster(address: str) -> str:
    """The address of a cluster's head, that of the environment for "auto"; Ray itself would try it for minutes.

    Raises:
        ClusterError: Nobody answers there, or somebody else, or it is no address.
    """
    import grpc

    address = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    if address == "auto":
        return address
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or "/" in host:
        raise ClusterError(
            f"{address!r} is no address of a Ray cluster",
            "Give HOST:PORT of a cluster that this machine belongs to, as `ray start --head` prints it.",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no Ray cluster answers at {address}: {short(error)}", START) from error
    if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
        return address
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            shown = [("authorization", f"Bearer {_token()}")]
            channel.unary_unary(PROBE)(b"", timeout=KNOCK_SECONDS, wait_for_ready=True, metadata=shown)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise ClusterError(
                    f"the Ray cluster at {address} does not know our token", "Set RAY_AUTH_TOKEN to the cluster's."
                ) from error
            raise ClusterError(f"what listens at {address} is no head of a Ray cluster", START) from error
    return address


def _token() -> str:
    """The token where Ray itself looks for it; empty where there is none."""
    if given := os.environ.get("RAY_AUTH_TOKEN"):
        return given
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text().strip()
    return ""


def short(error: BaseException | str) -> str:
    """A message in one line."""
    return " ".join(str(error).split())[:240] or type(error).__name__
