"""What a server holds of clients that never finish, and of workers that never start."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

import exports
from goldcut.deploy import server, supervisor
from goldcut.deploy.access import Access
from goldcut.deploy.batcher import Batcher
from goldcut.deploy.manifest import open_export
from goldcut.deploy.metrics import FOLDER
from goldcut.deploy.server import Place
from goldcut.deploy.service import Service
from goldcut.errors import DeployError
from goldcut.wire.messages import SERVICE


def test_a_message_that_never_comes_is_held_no_longer_than_a_connection_may(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.3)
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.3)
    exports.write_export(tmp_path)
    export = open_export(tmp_path)

    async def hold() -> grpc.StatusCode:
        service = Service(export, Access(), Batcher(export.open_cloud(), most_rows=4, most_waiting=8), most_rows=4)
        async with (
            server._grpc(service, Place("127.0.0.1", 0, 0)) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            call = channel.stream_unary(f"/{SERVICE}/ModelInfer")()
            await call.wait_for_connection()
            return await asyncio.wait_for(call.code(), 20)

    assert asyncio.run(hold()) == grpc.StatusCode.UNAVAILABLE


class Connection:
    """Of a client; told apart by identity."""


def test_a_connection_that_was_no_http_is_forgotten(monkeypatch):
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.0)

    async def sweep() -> set[object]:
        here, gone = Connection(), Connection()
        active: set[object] = {here, gone}
        task = asyncio.create_task(server._close_silent(SimpleNamespace(connections=[here]), active, {}, 9.0))
        await asyncio.sleep(0.05)
        task.cancel()
        assert here in active
        return active - {here}

    assert asyncio.run(sweep()) == set()


WORKER = """
import os, sys, time
name = f"gauge_livesum_{os.getpid()}.db"
open(os.path.join(os.environ["PROMETHEUS_MULTIPROC_DIR"], name), "w").close()
if not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "w").close()
    print("ready", flush=True)
time.sleep(0.3)
"""


def test_workers_that_die_before_they_are_ready_are_given_up_however_long_that_takes(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(supervisor, "FEW_SECONDS", 0.1)
    counts = tmp_path / "counts"
    counts.mkdir()
    command = [sys.executable, "-c", WORKER, str(tmp_path / "flag")]
    crew = supervisor._Crew(command, {FOLDER: str(counts)}, 1)
    told: list[int] = []
    with pytest.raises(DeployError, match="as soon as it starts"):
        asyncio.run(asyncio.wait_for(crew.run(lambda: told.append(1)), 60))
    assert told == [1]
    assert not list(counts.iterdir())
