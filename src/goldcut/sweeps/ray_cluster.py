"""A Ray cluster: found in seconds, joined or started for this machine alone, and quiet."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from secrets import token_hex
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from goldcut.errors import MissingExtra, SweepError
from goldcut.sweeps.executors import count_cores

LOCAL = "local"
"""The address that starts Ray on this machine, for as long as the command lasts."""

START = "Start one with `ray start --head` and give its HOST:PORT, or write --cluster local."

KNOCK_SECONDS = 5.0
"""Seconds that a cluster has to answer at its address."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""Environment in which Ray is imported and started: nothing is sent to its makers, nothing is printed."""


STORE_BYTES = 128 * 2**20
"""Of the object store of a Ray that is started here; tables of trials are small."""


def check_cluster(address: str) -> None:
    """See in seconds that Ray is installed and that somebody answers, before any long work.

    Raises:
        MissingExtra, SweepError: It is not so.
    """
    import_ray(alone=address == LOCAL)
    _knock(address)


def import_ray(*, alone: bool) -> ModuleType:
    """Ray; for this machine alone with a key that nobody else has, which it reads once, when it is imported first.

    Raises:
        MissingExtra: It is not installed.
    """
    if alone and "ray" not in sys.modules:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token_hex(32))
    try:
        with _environment(QUIET):
            import ray
    except ImportError as error:
        raise MissingExtra("ray", "cluster") from error
    module: ModuleType = ray
    return module


def connect(ray: ModuleType, address: str, held: ExitStack) -> None:
    """Join a cluster, or start one for this machine alone; both end with `held`.

    Raises:
        SweepError: None is there.
    """
    address = _knock(address)
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == LOCAL:
        folder = held.enter_context(TemporaryDirectory(prefix="goldcut-ray.", ignore_cleanup_errors=True))
        options |= {"num_cpus": count_cores(), "object_store_memory": STORE_BYTES}
        options |= {"include_dashboard": False, "_temp_dir": folder}
    held.callback(ray.shutdown)
    try:
        with _environment(QUIET):
            ray.init(**options)
    except Exception as error:  # whatever of the machine or the cluster it does not like
        raise SweepError(f"no Ray cluster can be used at {address}: {first_line(error)}", START) from error


def _knock(address: str) -> str:
    """See in seconds whether Ray is there, by the health service of gRPC; Ray itself would try for minutes.

    Returns:
        The address, that of the environment for "auto".

    Raises:
        SweepError: Nobody answers, or somebody else, or the address is none.
    """
    import grpc
    from grpc import StatusCode as Status

    address = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    if address in ("auto", LOCAL):
        return address
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise SweepError(
            f"{address!r} is no address of a Ray cluster",
            "Give HOST:PORT of a cluster that this machine belongs to, auto, or local.",
        )
    try:
        with grpc.insecure_channel(address) as channel:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=KNOCK_SECONDS)
    except grpc.RpcError as error:
        if error.code() in (Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.UNIMPLEMENTED):
            raise SweepError(f"no Ray cluster answers at {address}", START) from error
    return address


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that are set meanwhile, where the user has not set them."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def first_line(error: BaseException) -> str:
    """What an error says first."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
