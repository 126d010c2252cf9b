"""docs/examples/kubernetes.yaml: its command starts a server, and its probes find what they ask for."""

import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import trustme
import yaml
from benchmarks.serving import READY

import exports
from goldcut.cli.serve import serve
from goldcut.deploy.server import DRAIN_SECONDS

DOCUMENTS = list(yaml.safe_load_all((Path(__file__).parents[2] / "docs/examples/kubernetes.yaml").read_text()))
DEPLOYMENT, SERVICE, BUDGET = DOCUMENTS
POD = DEPLOYMENT["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
TOKEN = "0123456789abcdef0123456789abcdef"


def test_the_parts_select_the_same_pods():
    assert [one["kind"] for one in DOCUMENTS] == ["Deployment", "Service", "PodDisruptionBudget"]
    labels = POD["metadata"]["labels"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert SERVICE["spec"]["selector"] == labels
    assert BUDGET["spec"]["selector"]["matchLabels"] == labels


def test_ports_volumes_and_grace_fit_together():
    ports = {one["name"]: one["containerPort"] for one in CONTAINER["ports"]}
    flags = dict(one.lstrip("-").split("=", 1) for one in CONTAINER["args"])
    assert (str(ports["grpc"]), str(ports["http"])) == (flags["port"], flags["http-port"])
    assert {one["targetPort"] for one in SERVICE["spec"]["ports"]} == {*ports}
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == flags["http-port"]
    mounted = {one["name"] for one in CONTAINER["volumeMounts"]}
    assert mounted == {one["name"] for one in POD["spec"]["volumes"]}
    pause = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["spec"]["terminationGracePeriodSeconds"] > pause + DRAIN_SECONDS


def test_every_flag_is_one_of_goldcut_serve():
    known = {flag for parameter in serve.params for flag in parameter.opts}
    text = (Path(__file__).parents[2] / "docs/examples/kubernetes.yaml").read_text()
    assert {one.split("=")[0] for one in CONTAINER["args"]} <= known
    assert "--client-ca" in known
    assert "--client-ca=" in text


@pytest.fixture
def mounts(tmp_path) -> dict[str, str]:
    """What the volumes hold, by the path at which the pod sees it."""
    exports.write_export(tmp_path / "export")
    certificate = trustme.CA().issue_cert("localhost")
    (tmp_path / "tls").mkdir()
    (tmp_path / "access").mkdir()
    certificate.private_key_pem.write_to_path(str(tmp_path / "tls" / "tls.key"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "tls" / "tls.crt"))
    (tmp_path / "access" / "tokens").write_text(TOKEN)
    return {
        "/export": str(tmp_path / "export"),
        "=/tls": f"={tmp_path}/tls",
        "=/access": f"={tmp_path}/access",
        "--host=0.0.0.0": "--host=127.0.0.1",
        "--port=8001": "--port=0",
        "--http-port=8000": "--http-port=0",
    }


def fetch(port: int, path: str, token: str | None = None) -> int:
    """As the kubelet does: certificates are not checked."""
    context = ssl._create_unverified_context()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"https://localhost:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=20, context=context) as answer:
        return answer.status


def test_the_command_serves_and_the_probes_are_answered(mounts):
    command = [*CONTAINER["command"], *CONTAINER["args"]]
    for there, here in mounts.items():
        command = [one.replace(there, here) for one in command]
    assert command[0] == "goldcut"
    started = [sys.executable, "-m", *command]
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        found = READY.match(process.stdout.readline())
        assert found
        port = int(found[5])
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert CONTAINER[probe]["httpGet"]["scheme"] == "HTTPS"
            assert fetch(port, CONTAINER[probe]["httpGet"]["path"]) == 200
        assert fetch(port, POD["metadata"]["annotations"]["prometheus.io/path"], TOKEN) == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
