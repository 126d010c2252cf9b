"""How a record came to be: versions, seeds, settings, machine."""

import os
import platform
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from goldcut.records import Provenance

PACKAGES = ("goldcut", "torch", "torchvision", "numpy", "scikit-learn", "timm", "transformers")


class Stopwatch:
    """Started when made; `provenance` says what was done since."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self._clock = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall clock since the start."""
        return time.perf_counter() - self._clock

    def provenance(self, *, settings: Mapping[str, Any], seed: int, device: str) -> Provenance:
        """What is needed to do the same again."""
        return Provenance(
            command=" ".join(["goldcut", *sys.argv[1:]]) if sys.argv[0].endswith("goldcut") else "python",
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(self.seconds, 2),
            versions={"python": platform.python_version(), **_versions()},
            seeds={"seed": seed},
            settings=dict(settings),
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            device=device,
            threads=torch.get_num_threads(),
        )


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
