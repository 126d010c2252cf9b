"""What runs in a replica of `goldcut serve --engine ray`: the same session and queue as in a server that runs alone."""

import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from goldcut.deploy.batcher import Batch, Computed
from goldcut.deploy.manifest import open_export
from goldcut.deploy.session import open_session


class Replica:
    """A session of its own.

    The files come as bytes and are opened as an export, so that every check of a server's start is made here too:
    the hash, the interface, the cut that the half was made for.

    Args:
        files: Name -> reference in Ray's object store to the content as uint8, of the manifest and of the cloud half.
        most_rows: Rows of a batch at most.
        most_waiting: Rows in the queue at most.
        threads: Of one run.

    Raises:
        DeployError: The files are not those of an export.
    """

    def __init__(self, files: Mapping[str, Any], *, most_rows: int, most_waiting: int, threads: int) -> None:
        with tempfile.TemporaryDirectory(prefix="goldcut-replica.") as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(ray.get(content))
            export = open_export(Path(folder))
            self._batcher = open_session(export, most_rows=most_rows, most_waiting=most_waiting, threads=threads)
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    async def answer(self, z: Batch) -> Computed:
        """The answer for (rows, *z_shape), checked by the server."""
        return replace(await self._batcher.answer(z), replica=self._name)
