"""From a model to two halves that talk: the ten commands of docs/deploy.md, and what they leave behind."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
import torch
from benchmarks.serving import serving
from PIL import Image

from goldcut.cuts import find_cuts
from goldcut.deploy.client import EdgeClient
from goldcut.deploy.export import export
from goldcut.deploy.manifest import open_export
from goldcut.errors import DeployError, ModelError
from goldcut.records import Manifest, json_schema, load
from goldcut.sources.images import load_images
from goldcut.sources.models import load_model

DOC = Path(__file__).parents[2] / "docs" / "deploy.md"
CUT = """"$(python -c 'import json; print(json.load(open("runs/net/scan.json"))["cuts"][1]["name"])')" """


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def commands() -> list[str]:
    """The commands of the page."""
    found = re.search(r"```sh\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert found
    return found[1].splitlines()


@pytest.fixture(scope="module")
def home(files, tmp_path_factory) -> Path:
    """A folder with a model, images as npz and two pictures."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("model.py", "images.npz"):
        shutil.copy(files / name, folder)
    images = np.load(files / "images.npz")["x_test"]
    for name, pixels in zip(("one", "two"), images, strict=False):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def ran(home) -> subprocess.CompletedProcess:
    """The ten commands in one shell: the audit with its quickest attack, free ports, and a cut that is there."""
    port, http_port = free_port(), free_port()
    changes = {
        "--out runs/net": "--out runs/net --attacks ridge --victims 100",
        "--cut recommended": f"--cut {CUT}",
        "localhost:8001": f"localhost:{port}",
        "localhost:8000": f"localhost:{http_port}",
        "goldcut serve deploy/net": f"goldcut serve deploy/net --port {port} --http-port {http_port}",
    }
    script = "\n".join(commands())
    for before, after in changes.items():
        assert before in script
        script = script.replace(before, after)
    script = f'set -e\ngoldcut() {{ python -m goldcut "$@"; }}\n{script}\n'
    script = script.replace("goldcut serve", "python -m goldcut serve")  # $! is then the server, not a shell
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["timeout", "900", "bash", "-c", script],
        cwd=home,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def exported(home, ran) -> Path:
    return home / "deploy" / "net"


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("curl")), reason="the page uses openssl and curl")
class TestTheTenCommands:
    def test_there_are_ten(self):
        assert len(commands()) == 10

    def test_both_pictures_are_told_and_the_server_stops_in_order(self, ran):
        assert re.search(r"^one\.png: [012] \(\d", ran.stdout, re.MULTILINE)
        assert re.search(r"^two\.png: [012] \(\d", ran.stdout, re.MULTILINE)
        assert '{"ready":true}' in ran.stdout
        assert '"event": "stopped"' in ran.stderr
        assert "FAILED" not in ran.stdout

    def test_the_manifest_follows_its_schema_and_hides_where_it_was_made(self, home, exported):
        content = (exported / "manifest.json").read_bytes()
        jsonschema.validate(json.loads(content), json_schema("goldcut.manifest/1"))
        for name in ("edge.onnx", "cloud.onnx"):
            assert str(Path(__file__).parents[2]).encode() not in (exported / name).read_bytes()
            assert (exported / name).stat().st_mode & 0o444 == 0o444
        assert {path.name for path in exported.iterdir()} == {*open_export(exported).manifest.files, "manifest.json"}

    def test_the_halves_hold_their_own_weights_only_and_compute_what_the_model_does(self, home, exported):
        target = load_model(f"{home / 'model.py'}:build", input_shape=(1, 16, 16))
        sizes = [
            sum(int(np.prod(weight.dims)) for weight in onnx.load(exported / name).graph.initializer)
            for name in ("edge.onnx", "cloud.onnx")
        ]
        whole = sum(weight.numel() for weight in target.model.parameters())
        assert min(sizes) > 0
        assert whole <= sum(sizes) <= whole + 16  # a few constants of shapes
        images = load_images(f"npz:{home / 'images.npz'}").scanned.batch(range(20))
        opened = open_export(exported)
        answer = opened.open_cloud()(opened.open_edge()(images.numpy()))
        with torch.no_grad():
            assert np.allclose(answer, target.model(images).numpy(), atol=1e-5)

    def test_the_certificate_says_what_the_audit_found(self, home, exported):
        manifest = load(exported / "manifest.json", Manifest)
        attack = json.loads((home / "runs" / "net" / "attack.json").read_bytes())
        held = manifest.certificate
        assert held is not None
        assert held.same_edge
        assert held.differences == ()
        worst = next(one for one in attack["worst"] if one["cut"] == manifest.cut)
        assert held.worst is not None
        assert (held.worst.recovered, held.worst.recovered_low) == (worst["recovered"], worst["recovered_low"])
        assert held.view is not None
        assert held.view.knowledge == attack["view"]["knowledge"]
        assert manifest.equality.accuracy == manifest.equality.accuracy_deployed
        assert manifest.equality.images == 300

    def test_the_pictures_are_classified_as_by_the_model(self, home, exported, tmp_path):
        target = load_model(f"{home / 'model.py'}:build", input_shape=(1, 16, 16))
        with torch.no_grad():
            logits = target.model(load_images(f"npz:{home / 'images.npz'}").scanned.batch([0, 1])).numpy()
        with (
            serving(exported, tmp_path / "log") as served,
            EdgeClient(exported, f"grpc://{served.grpc}") as client,
        ):
            answer = client.infer([home / "one.png", home / "two.png"])
        assert np.allclose(answer.logits, logits, atol=1e-5)

    def test_another_codec_or_other_weights_are_not_what_was_audited(self, goldcut, home, exported, tmp_path):
        other = tmp_path / "other"
        cut = load(exported / "manifest.json", Manifest).cut
        (tmp_path / "model.py").write_text((home / "model.py").read_text().replace("manual_seed(0)", "manual_seed(1)"))
        answer = goldcut(
            "export", f"{tmp_path / 'model.py'}:build", "--input", "1,16,16", "--cut", cut, "--out", str(other),
            "--audit", str(home / "runs" / "net"), "--codec", "int8", "--zstd", "--format", "onnx,pt2", "--json",
        )  # fmt: skip
        assert answer.code == 0, answer.err
        manifest = json.loads(answer.out)
        assert not manifest["certificate"]["same_edge"]
        assert len(manifest["certificate"]["differences"]) == 2
        assert manifest["equality"]["same_class"] > 0.9
        answer = goldcut("verify", str(other))
        assert answer.code == 1
        assert "weights" in answer.out
        assert "fp32" in answer.out
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(other / "edge.pt2")
        images = torch.rand(3, 1, 16, 16)
        assert np.allclose(program.module()(images).detach(), open_export(other).open_edge()(images.numpy()), atol=1e-5)

    def test_the_attack_on_the_export_itself_is_the_audits(self, goldcut, home, exported, tmp_path):
        """In fp32 the edge sends what the audit attacked, so the same attack gets as much."""
        own = tmp_path / "own"
        shutil.copytree(exported, own)
        data = f"npz:{home / 'images.npz'}"
        answer = goldcut("attack", str(own), "--data", data, "--attacks", "ridge", "--victims", "100", "--json")
        assert answer.code == 0, answer.err
        record = json.loads(answer.out)
        jsonschema.validate(record, json_schema("goldcut.edge-attack/1"))
        audit = json.loads((home / "runs" / "net" / "attack.json").read_bytes())
        expected = next(one for one in audit["results"] if one["cut"] == record["cut"])
        assert abs(record["worst"]["recovered"] - expected["recovered"]) < 0.02
        answer = goldcut("verify", str(own))
        assert answer.code == 0
        assert "passed attack" in answer.out


def test_a_defended_audit_and_a_defended_export_belong_together(goldcut, home, tmp_path):
    """Audit and edge behind the same noise; the device draws it anew, and the attack on the export meets it too."""
    sources = (f"{home / 'model.py'}:build", f"npz:{home / 'images.npz'}")
    run, out = tmp_path / "run", tmp_path / "out"
    flags = ("--attacks", "ridge", "--victims", "100")
    assert goldcut("audit", *sources, "--out", str(run), "--defense", "noise:1", "--cuts", "1", *flags).code == 0
    export_flags = (sources[0], "--cut", "1", "--data", sources[1], "--audit", str(run))
    answer = goldcut("export", *export_flags, "--out", str(out), "--defense", "noise:1.0")
    assert answer.code == 0, answer.err
    assert "Defence noise:1 in the edge half, drawn anew for each call." in answer.out
    answer = goldcut("verify", str(out), "--audit", str(run))
    assert answer.code == 0, answer.out
    assert "passed defence" in answer.out
    answer = goldcut("attack", str(out), "--data", sources[1], *flags, "--json")
    assert answer.code == 0, answer.err
    record = json.loads(answer.out)
    assert record["view"]["stochastic"]
    audited = json.loads((run / "attack.json").read_bytes())["results"][0]
    assert abs(record["worst"]["recovered"] - audited["recovered"]) < 0.05

    image = np.random.default_rng(0).random((1, 1, 16, 16), np.float32)
    with serving(out, tmp_path / "log") as served:
        answers = []
        for _ in range(2):
            with EdgeClient(out, f"grpc://{served.grpc}") as client:
                answers += [client.infer(image).logits, client.infer(image).logits]
    assert len({one.tobytes() for one in answers}) == 4

    other = tmp_path / "other"
    assert goldcut("export", *export_flags, "--out", str(other)).code == 0
    answer = goldcut("verify", str(other))
    assert answer.code == 1
    assert "with the defence noise:1, this edge applies none" in answer.out


def test_nothing_is_left_when_an_export_fails(home, tmp_path, monkeypatch):
    target = load_model(f"{home / 'model.py'}:build", input_shape=(1, 16, 16))
    for cut, words in (("nowhere", "no cut"), ("output", "leaves nothing")):
        with pytest.raises(ModelError, match=words):
            export(target, cut, tmp_path / "a")
    with pytest.raises(DeployError, match="needs an audit"):
        export(target, "recommended", tmp_path / "a")
    with pytest.raises(DeployError, match="no format"):
        export(target, "1", tmp_path / "a", formats=["tflite"])
    with pytest.raises(DeployError, match="cannot be called"):
        export(target, "1", tmp_path / "a", name="a/b")

    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DeployError, match="No space left on device"):
        export(target, find_cuts(target.model, (1, 16, 16)).cuts[0].name, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(home, tmp_path):
    (tmp_path / "mine").write_text("keep")
    target = load_model(f"{home / 'model.py'}:build", input_shape=(1, 16, 16))
    with pytest.raises(DeployError, match="not empty"):
        export(target, "1", tmp_path)
    assert (tmp_path / "mine").read_text() == "keep"
