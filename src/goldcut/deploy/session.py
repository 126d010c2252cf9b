"""The cloud half at work in one process: opened, warmed up, behind its queue."""

import sys
from typing import Protocol

import numpy as np

from goldcut.deploy.batcher import Batch, Batcher, Computed
from goldcut.deploy.manifest import Export

SWITCH_SECONDS = 3e-4
"""After which a thread that wants to go on gets its turn: with Python's 5 ms a batch that is done waits for the event
loop, and the cloud half stands still meanwhile."""


class Engine(Protocol):
    """What answers questions that were checked: a Batcher, or Replicas of one elsewhere."""

    @property
    def waiting_rows(self) -> int:
        """Rows that wait for an answer."""

    async def answer(self, z: Batch, seconds: float | None = None) -> Computed:
        """The answer for (rows, *z_shape), checked.

        Raises:
            Refusal: The queue is full, the time is over, or the server is closing.
        """

    async def drain(self) -> None:
        """Take nothing more, and come back when everything is answered."""


def open_session(export: Export, *, most_rows: int, most_waiting: int, threads: int) -> Batcher:
    """The cloud half of an export, run once with a row and once with a full batch.

    Threads of this process change places after SWITCH_SECONDS from then on.

    Raises:
        DeployError: It is not the one of the manifest.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    cloud = export.open_cloud(threads=threads)
    for rows in (1, most_rows):
        cloud(np.zeros((rows, *export.manifest.z_shape), np.float32))
    return Batcher(cloud, most_rows=most_rows, most_waiting=most_waiting)
