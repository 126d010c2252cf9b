"""TLS and tokens, workers that are killed, a stop under load, and exports that are not served."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
import trustme
from benchmarks.faults import main as faults
from benchmarks.serving import serving
from click.testing import CliRunner

import exports
from goldcut.deploy.attempts import Tls
from goldcut.deploy.client import EdgeClient
from goldcut.errors import DeployError
from goldcut.wire.messages import MESSAGES, SERVICE

IMAGES = np.random.default_rng(1).random((2, *exports.SHAPE), np.float32)
LOGITS = exports.cloud_of(exports.edge_of(IMAGES))
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "export"
    exports.write_export(path)
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """PEM files of a server, of a client it knows, and of one that it does not."""
    root = tmp_path_factory.mktemp("keys")
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(root / "ca.pem"))
    for name, authority in (("server", ours), ("client", ours), ("stranger", theirs)):
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(str(root / f"{name}.key"))
        for turn, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(str(root / f"{name}.pem"), append=turn > 0)
    (root / "tokens").write_text(f"# the device's\n{TOKEN}\n")
    return root


@pytest.fixture(scope="module")
def guarded(folder, keys, tmp_path_factory):
    """A server that wants a certificate and a token."""
    flags = ("--tls-cert", keys / "server.pem", "--tls-key", keys / "server.key", "--client-ca", keys / "ca.pem")
    log = tmp_path_factory.mktemp("log") / "log"
    with serving(folder, log, *map(str, flags), "--token-file", str(keys / "tokens")) as served:
        yield served


def known(keys, name: str = "client") -> Tls:
    return Tls(keys / "ca.pem", keys / f"{name}.pem", keys / f"{name}.key")


def test_whoever_shows_certificate_and_token_is_answered(folder, keys, guarded):
    with EdgeClient(folder, f"grpcs://{guarded.grpc}", token=TOKEN, tls=known(keys)) as client:
        assert np.allclose(client.infer(IMAGES).logits, LOGITS, atol=1e-5)


def test_the_stock_clients_do_too(keys, guarded):
    z = exports.edge_of(IMAGES)
    headers = {"authorization": f"Bearer {TOKEN}"}
    with tritonclient.http.InferenceServerClient(
        guarded.http, ssl=True, ssl_context_factory=lambda: context(keys, "client")
    ) as client:
        value = tritonclient.http.InferInput("z", list(z.shape), "FP32")
        value.set_data_from_numpy(z)
        assert np.allclose(client.infer("tiny", [value], headers=dict(headers)).as_numpy("logits"), LOGITS, atol=1e-5)
    with tritonclient.grpc.InferenceServerClient(
        guarded.grpc,
        ssl=True,
        root_certificates=str(keys / "ca.pem"),
        private_key=str(keys / "client.key"),
        certificate_chain=str(keys / "client.pem"),
    ) as client:
        value = tritonclient.grpc.InferInput("z", list(z.shape), "FP32")
        value.set_data_from_numpy(z)
        assert np.allclose(client.infer("tiny", [value], headers=dict(headers)).as_numpy("logits"), LOGITS, atol=1e-5)


def context(keys, name: str | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(keys / "ca.pem"))
    if name is not None:
        made.load_cert_chain(keys / f"{name}.pem", keys / f"{name}.key")
    return made


def test_a_token_that_is_no_text_is_a_wrong_one(keys, guarded):
    assert fetch(guarded, keys, "/v2/models/tiny", "caf\xe9")[0] == 401
    assert '"level": "error"' not in guarded.log()


@pytest.mark.parametrize("token", [None, "", TOKEN[:-1] + "F", TOKEN[:-1], TOKEN + "0", f"{TOKEN} {TOKEN}"])
def test_a_wrong_token_is_refused(folder, keys, guarded, token):
    with (
        EdgeClient(folder, f"grpcs://{guarded.grpc}", token=token, tls=known(keys)) as client,
        pytest.raises(DeployError, match="UNAUTHENTICATED"),
    ):
        client.infer(IMAGES)
    status, headers = fetch(guarded, keys, "/v2/models/tiny", token)
    assert status == 401
    assert headers["WWW-Authenticate"] == "Bearer"
    assert fetch(guarded, keys, "/metrics", token)[0] == 401


def test_health_needs_no_token(keys, guarded):
    assert fetch(guarded, keys, "/v2/health/live", None)[0] == 200
    assert fetch(guarded, keys, "/v2/health/ready", None)[0] == 200
    assert fetch(guarded, keys, "/metrics", TOKEN)[0] == 200


def fetch(served, keys, path: str, token: str | None, name: str | None = "client"):
    import http.client

    connection = http.client.HTTPSConnection(served.http, timeout=20, context=context(keys, name))
    try:
        connection.request("GET", path, headers={} if token is None else {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        response.read()
        return response.status, response.headers
    finally:
        connection.close()


@pytest.mark.parametrize("name", [None, "stranger"])
def test_without_a_known_certificate_nobody_is_answered(folder, keys, guarded, name):
    shown = Tls(keys / "ca.pem") if name is None else known(keys, name)
    with (
        EdgeClient(folder, f"grpcs://{guarded.grpc}", token=TOKEN, tls=shown, deadline=1.0) as client,
        pytest.raises(DeployError, match=r"did not answer in time|DEADLINE"),
    ):
        client.infer(IMAGES)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        fetch(guarded, keys, "/v2/health/live", TOKEN, name)


def test_plain_connections_to_a_tls_server_are_refused(folder, keys, guarded):
    with EdgeClient(folder, f"grpc://{guarded.grpc}", token=TOKEN, deadline=1.0) as client, pytest.raises(DeployError):
        client.infer(IMAGES)
    with EdgeClient(folder, f"grpcs://{guarded.grpc}", token=TOKEN, tls=known(keys)) as client:
        assert np.allclose(client.infer(IMAGES).logits, LOGITS, atol=1e-5)


def load(folder, served, clients: int, seconds: float, act) -> tuple[int, list[Exception]]:
    """Answers and faults of several clients while `act` is carried out in the middle; every answer is checked."""
    stop, counts, faults = threading.Event(), [0] * clients, []

    def work(turn: int) -> None:
        with EdgeClient(folder, f"grpc://{served.grpc}", deadline=120.0) as client:
            while not stop.is_set():
                try:
                    assert np.allclose(client.infer(IMAGES).logits, LOGITS, atol=1e-5)
                    counts[turn] += 1
                except Exception as error:
                    faults.append(error)

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 2)
    act()
    time.sleep(seconds / 2)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts), faults


def stop_under_load(served) -> int:
    """Answers of clients that never try again: each ends with its first fault, all at the server's stop."""
    answers, faults = [], []
    z = exports.edge_of(IMAGES)
    request = MESSAGES["ModelInferRequest"](model_name="tiny", raw_input_contents=[z.tobytes()])
    request.inputs.add(name="z", datatype="FP32", shape=z.shape)
    content = request.SerializeToString()

    def work(address: str) -> None:
        with grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel:
            call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
            while True:
                try:
                    answers.append(call(content))
                except grpc.RpcError as error:
                    faults.append(error.code().name)
                    return

    threads = [threading.Thread(target=work, args=(served.grpc,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while len(answers) < 20 and time.monotonic() < until:
        time.sleep(0.01)
    assert served.stop() == 0
    for thread in threads:
        thread.join()
    assert len(faults) == 4
    assert set(faults) <= {"UNAVAILABLE", "CANCELLED"}  # CANCELLED: it came in the very moment of the stop
    return len(answers)


def test_a_stop_under_load_loses_nothing_that_was_taken(folder, tmp_path):
    """The log knows of every answer."""
    with serving(folder, tmp_path / "log") as served:
        answers = stop_under_load(served)
        lines = [json.loads(line) for line in served.log().splitlines()]
    outcomes = [line["outcome"] for line in lines if line["event"] == "request"]
    assert set(outcomes) <= {"answered", "closing"}
    assert outcomes.count("answered") == answers >= 20
    assert [line["event"] for line in lines if line["event"] != "request"] == ["ready", "draining", "stopped"]


def test_a_killed_worker_is_replaced_and_the_clients_notice_nothing(folder, tmp_path):
    with serving(folder, tmp_path / "log", "--workers", "2") as served:
        pids = {json.loads(line)["pid"] for line in served.log().splitlines() if '"ready"' in line}
        assert len(pids) == 2
        answers, faults = load(folder, served, 3, 2.0, lambda: os.kill(min(pids), signal.SIGKILL))
        assert not faults
        assert answers > 0
        until = time.monotonic() + 60
        while served.log().count('"event": "ready"') < 3 and time.monotonic() < until:
            time.sleep(0.1)
        lines = [json.loads(line) for line in served.log().splitlines()]
        assert [line["code"] for line in lines if line["event"] == "worker ended"] == [-9]
        assert len([line for line in lines if line["event"] == "ready"]) == 3
        with EdgeClient(folder, f"grpc://{served.grpc}") as client:
            assert np.allclose(client.infer(IMAGES).logits, LOGITS, atol=1e-5)
        assert served.stop() == 0
        assert served.log().count('"event": "stopped"') == 2


@pytest.mark.slow
def test_the_promises_under_load_are_kept(folder):
    """benchmarks.faults on the tiny export: all that it promises but the seconds."""
    ran = CliRunner().invoke(faults, ["--folder", str(folder), "--clients", "8", "--seconds", "3", "--soak", "5"])
    lines = [json.loads(line) for line in ran.output.splitlines()]
    assert len(lines) == 6
    for line in lines:
        assert set(line["broken"]) <= {"throughput back in 2 s"}, line


def test_a_link_is_measured_through_its_emulation(folder, tmp_path):
    with serving(folder, tmp_path / "log") as served:
        command = [sys.executable, "-m", "goldcut", "link", str(folder), "--url", f"grpc://{served.grpc}", "--json"]
        done = subprocess.run([*command, "--link", "1mbit,30ms"], capture_output=True, check=True, timeout=300)
    record = json.loads(done.stdout)
    assert record["round_trip_ms"] >= 30
    assert record["sample_ms"] >= 30
    assert record["megabit_per_s"] is None or record["megabit_per_s"] < 1.1


def test_an_emulated_link_leads_to_a_guarded_server(folder, keys, guarded):
    shown = ("--ca", keys / "ca.pem", "--tls-cert", keys / "client.pem", "--tls-key", keys / "client.key")
    for host in ("localhost", "127.0.0.1"):
        command = ["goldcut", "link", folder, "--url", f"grpcs://{host}:{guarded.port}", "--link", "8mbit,20ms", *shown]
        command = [sys.executable, "-m", *map(str, command), "--token-file", str(keys / "tokens")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert "over 8mbit,20ms: round trip" in done.stdout
        assert not done.stderr


def test_a_link_to_nobody_is_told_at_once(folder):
    command = [sys.executable, "-m", "goldcut", "link", str(folder), "--url", "grpc://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert "127.0.0.1:9 is not reached" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_deadline_is_honoured(folder):
    """Nobody listens: the client tries again and gives up in time, sync and async."""
    with EdgeClient(folder, "grpc://127.0.0.1:9", deadline=0.5) as client:
        started = time.monotonic()
        with pytest.raises(DeployError, match=r"did not answer in time, after [2-9] attempts"):
            client.infer(IMAGES)
        with pytest.raises(DeployError, match="did not answer in time"):
            asyncio.run(client.infer_async(IMAGES))
        assert time.monotonic() - started < 30


def serve_fails(*arguments: str) -> str:
    """What `goldcut serve` says when it does not start."""
    command = [sys.executable, "-m", "goldcut", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    return line


def test_what_cannot_be_served_is_refused_at_start_in_one_sentence(folder, keys, tmp_path):
    exports.write_export(tmp_path / "other", cloud=exports.cloud_onnx(cut="block2"))
    assert "belongs to another" in serve_fails(str(tampered(tmp_path / "changed")))
    assert "block2" in serve_fails(str(tmp_path / "other"), "--workers", "2")
    assert "goldcut export" in serve_fails(str(tmp_path / "nothing"))
    others = ("--tls-cert", str(keys / "server.pem"), "--tls-key", str(keys / "client.key"))
    fine = tmp_path / "fine"
    exports.write_export(fine)
    assert "make no TLS server" in serve_fails(str(fine), "--port", "0", "--http-port", "0", *others)
    assert "--tls-key" in serve_fails(str(folder), "--tls-cert", str(keys / "server.pem"))
    assert "cannot be read" in serve_fails(str(folder), "--token-file", str(keys / "ca.key.missing"))


def tampered(path):
    exports.write_export(path)
    content = bytearray((path / "cloud.onnx").read_bytes())
    content[-1] ^= 1
    (path / "cloud.onnx").write_bytes(content)
    return path


def test_a_taken_port_is_refused(folder, tmp_path):
    with serving(folder, tmp_path / "log") as served:
        assert "cannot listen" in serve_fails(str(folder), "--port", str(served.port), "--http-port", "0")
        assert "cannot listen" in serve_fails(str(folder), "--port", "0", "--http-port", str(served.http_port))


def test_the_client_and_the_server_do_not_import_torch(folder):
    code = (
        "import sys, goldcut\n"
        f"goldcut.EdgeClient({str(folder)!r}, 'grpc://127.0.0.1:9')\n"
        "import goldcut.deploy.server, goldcut.deploy.rpc, goldcut.deploy.rest, goldcut.deploy.supervisor\n"
        "import goldcut.deploy.verify, goldcut.deploy.inference, goldcut.deploy.fleet, goldcut.deploy.replica\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8001", "http://127.0.0.1:8001", "grpc://", "grpc://host", "grpc://h:x", "grpc://h:1/x"]
)
def test_what_is_no_address_is_refused(folder, url):
    with pytest.raises(DeployError, match="is no address"):
        EdgeClient(folder, url)


def test_grpc_codes_that_are_no_faults_of_the_network_are_not_tried_again(folder, tmp_path):
    exports.write_export(tmp_path / "other", cloud=exports.cloud_onnx(weight=exports.WEIGHT * 2))
    with (
        serving(tmp_path / "other", tmp_path / "log") as served,
        EdgeClient(folder, f"grpc://{served.grpc}") as client,
        pytest.raises(DeployError, match="the edge half belongs to another export"),
    ):
        client.infer(IMAGES)
