"""`goldcut serve --engine ray` over sockets: the same answers and refusals, replicas that are killed, and a cluster.

Ray lives in the processes of the server, none of it in this one.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from benchmarks.serving import Served, serving

import exports
from goldcut.deploy.client import EdgeClient
from integration.test_serve import (
    GRPC_FAULTS,
    HTTP_FAULTS,
    INFER,
    LOGITS,
    MOST_ROWS,
    Z,
    a_good_client,
    asked,
    fetch,
    message,
    refusal,
)
from integration.test_serve_faults import IMAGES, load, serve_fails, stop_under_load

LOGITS_OF_IMAGES = exports.cloud_of(exports.edge_of(IMAGES))
RAY = ("--engine", "ray", "--replicas", "1:2", "--max-batch", str(MOST_ROWS), "--max-queue", str(MOST_ROWS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("served") / "export"
    exports.write_export(path)
    return path


@pytest.fixture(scope="module")
def served(folder, tmp_path_factory) -> Iterator[Served]:
    """A server before one or two replicas, until the last test with it stops it."""
    with serving(folder, tmp_path_factory.mktemp("log") / "log", *RAY) as server:
        yield server


def descendants(pid: int) -> list[int]:
    """Processes that were started by a process, and by those."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def waited_for(holds, seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.1)
    return False


def replicas(server: Served) -> set[int]:
    """Process ids of the replicas that answered."""
    lines = [json.loads(line) for line in server.log().splitlines() if '"replica"' in line]
    return {int(line["replica"].rpartition(":")[2]) for line in lines}


def running(server: Served) -> int:
    """How many replicas there are, as the server last said."""
    lines = [json.loads(line) for line in server.log().splitlines() if '"replicas"' in line]
    return lines[-1]["running"] if lines else 0


def test_the_stock_clients_get_the_models_answers(served):
    for kind, address in ((tritonclient.grpc, served.grpc), (tritonclient.http, served.http)):
        with kind.InferenceServerClient(address) as client:
            assert client.is_server_ready()
            assert client.is_model_ready("tiny")
            for rows in (1, 3):
                answer = client.infer("tiny", asked(kind, Z[:rows]), request_id=f"r{rows}")
                assert np.allclose(answer.as_numpy("logits"), LOGITS[:rows], atol=1e-5)
    assert len(replicas(served)) == 1
    assert os.getpid() not in replicas(served)
    assert served.process.pid not in replicas(served)


def test_bad_requests_are_refused_as_without_ray_and_harm_nobody(folder, served):
    with a_good_client(folder, served):
        found = {name: refusal(served, message(change))[0] for name, (change, _) in GRPC_FAULTS.items()}
        status = {
            name: fetch(served, "POST", INFER, content, headers)[0]
            for name, (content, _, headers) in HTTP_FAULTS.items()
        }
    assert found == {name: code for name, (_, code) in GRPC_FAULTS.items()}
    assert status == {name: code for name, (_, code, _) in HTTP_FAULTS.items()}


def test_more_than_may_wait_is_refused_and_the_client_comes_again(folder, served):
    async def crowd() -> list:
        async with EdgeClient(folder, f"grpc://{served.grpc}", deadline=120.0) as client:
            return await asyncio.gather(*(client.infer_async(np.tile(IMAGES, (4, 1, 1, 1))) for _ in range(64)))

    answers = asyncio.run(crowd())
    assert all(np.allclose(answer.logits[: len(IMAGES)], LOGITS_OF_IMAGES, atol=1e-5) for answer in answers)
    assert '"outcome": "overloaded"' in served.log()
    assert max(answer.attempts for answer in answers) > 1


def test_a_second_replica_comes_with_the_load(folder, served):
    stop = threading.Event()

    def work() -> None:
        async def keep_asking(client: EdgeClient) -> None:
            while not stop.is_set():
                assert np.allclose((await client.infer_async(IMAGES)).logits, LOGITS_OF_IMAGES, atol=1e-5)

        async def all_of_them() -> None:
            async with EdgeClient(folder, f"grpc://{served.grpc}", deadline=120.0) as client:
                await asyncio.gather(*(keep_asking(client) for _ in range(2 * MOST_ROWS)))

        asyncio.run(all_of_them())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert waited_for(lambda: running(served) == 2)
    finally:
        stop.set()
        thread.join()


def test_a_killed_replica_is_replaced_and_the_clients_notice_nothing(folder, served):
    with EdgeClient(folder, f"grpc://{served.grpc}", deadline=120.0) as client:
        client.infer(IMAGES)
    before = replicas(served)
    victims = [pid for pid in before if alive(pid)]

    def kill() -> None:
        for pid in victims:
            os.kill(pid, signal.SIGKILL)

    answers, faults = load(folder, served, 3, 4.0, kill)
    assert not faults
    assert answers > 0
    assert replicas(served) - before
    assert waited_for(lambda: running(served) >= 1)


def test_a_stop_under_load_loses_nothing_and_leaves_nothing(served):
    before, family = served.log().count('"outcome": "answered"'), descendants(served.process.pid)
    answers = stop_under_load(served)
    assert served.log().count('"outcome": "answered"') - before == answers >= 20
    assert len(family) > 3
    assert waited_for(lambda: not any(alive(pid) for pid in family))
    lines = [json.loads(line) for line in served.log().splitlines()]  # Ray writes nothing beside them
    assert [line["event"] for line in lines if line["level"] == "error"] == []
    said = [line["event"] for line in lines if line["event"] not in ("request", "replicas", "ray")]
    assert said == ["ready", "draining", "stopped"]


def test_without_ray_the_extra_is_named(folder, tmp_path, monkeypatch):
    (tmp_path / "ray.py").write_text("raise ImportError('it is not there')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert "pip install 'goldcut[cluster]'" in serve_fails(str(folder), "--engine", "ray")


def test_what_is_no_cluster_is_refused_soon_in_one_sentence(folder):
    def refused(address: str) -> str:
        return serve_fails(str(folder), "--engine", "ray", "--cluster", address)  # within its own patience

    with socket.socket() as closed, socket.create_server(("127.0.0.1", 0)) as silent:
        closed.bind(("127.0.0.1", 0))
        assert "no Ray cluster answers" in refused(f"127.0.0.1:{closed.getsockname()[1]}")
        assert "no head of a Ray cluster" in refused(f"127.0.0.1:{silent.getsockname()[1]}")
    assert "is no address" in refused("ray://127.0.0.1")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--cluster", "h:1"], "need --engine ray"),
        (["--replicas", "2"], "need --engine ray"),
        (["--engine", "ray", "--workers", "2"], "--workers is for --engine local"),
        (["--engine", "ray", "--replicas", "3:2"], "such as 1:4"),
        (["--engine", "ray", "--replicas", "0:2"], "such as 1:4"),
    ],
)
def test_flags_that_do_not_belong_together_are_refused(goldcut, folder, flags, words):
    answer = goldcut("serve", str(folder), *flags)
    assert answer.code == 2
    assert words in answer.err


CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 128 * 2**20})
print("head", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.mark.slow
def test_a_cluster_is_joined_and_stays(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    head = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        address = next(line for line in head.stdout if line.startswith(b"head ")).split()[1].decode()
        joined = ("--engine", "ray", "--cluster", address)
        assert "3 replicas of 1 threads need 3" in serve_fails(str(folder), *joined, "--replicas", "3")
        for turn in range(2):  # the second finds the cluster as the first found it
            with serving(folder, tmp_path / f"log{turn}", *joined) as server:
                with EdgeClient(folder, f"grpc://{server.grpc}", deadline=60.0) as client:
                    assert np.allclose(client.infer(IMAGES).logits, LOGITS_OF_IMAGES, atol=1e-5)
                (pid,) = replicas(server)
                assert pid not in descendants(server.process.pid)
                assert pid in descendants(head.pid)
                assert server.stop() == 0
                assert waited_for(lambda pid=pid: not alive(pid))
        monkeypatch.setenv("RAY_AUTH_TOKEN", "fedcba9876543210" * 4)
        assert "does not know our token" in serve_fails(str(folder), *joined)
        assert head.poll() is None
    finally:
        head.stdin.close()
        head.wait(60)
        head.stdout.close()
