"""Ray Serve, and what Ray says of itself as lines of our log."""

import importlib
import io
import logging
import os
import re
from typing import Any

from goldcut.cluster import import_ray, short
from goldcut.deploy.service import LOG
from goldcut.errors import MissingExtra

LOGGERS = ("ray", "ray.serve")
"""Loggers with ways of their own."""


def load_serve(*, alone: bool) -> Any:
    """The module ray with ray.serve; what it logs goes into our log.

    Args:
        alone: Whether it is for this machine alone.

    Raises:
        MissingExtra: One of them is not installed.
    """
    os.environ.update(RAY_SERVE_LOG_TO_STDERR="0", RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP="1")
    if alone:
        os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  by default replicas come last on a busy machine
    ray = import_ray(alone=alone)
    try:
        importlib.import_module("ray.serve")
    except ImportError as error:
        raise MissingExtra("ray[serve]", "cluster") from error
    for name in LOGGERS:
        log = logging.getLogger(name)
        log.handlers[:] = [_Logged()]
        log.propagate = False
        log.setLevel(logging.WARNING)
    return ray


def hush() -> None:
    """Keep the complaints of what is cut off from Ray out of the log."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _Logged(logging.Handler):
    """What Ray logs, as a line of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        LOG.log(record.levelno, "ray", extra={"fields": {"said": short(record.getMessage())}})


class Said(io.StringIO):
    """What Ray prints, as a line of ours: standard output is for the line that says where the server listens."""

    def write(self, text: str) -> int:
        if said := " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split()):
            LOG.warning("ray", extra={"fields": {"said": short(said)}})
        return len(text)
