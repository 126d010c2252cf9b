"""A device without torch: the small distribution of edge/, and the client where nothing large can be imported."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from benchmarks.serving import serving
from PIL import Image

import exports

ROOT = Path(__file__).parents[2]
ABSENT = ("torch", "torchvision", "torchmetrics", "sklearn", "scipy", "pyarrow", "onnx", "onnxscript", "jinja2", "yaml")

WITHOUT = f"""
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that cannot import what a device does not have."""
    command = [sys.executable, "-W", "error", "-c", f"{WITHOUT}\n{code}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def goldcut(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("from goldcut.cli import main\nmain()", *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("edge") / "export"
    exports.write_export(path, "int8", True)
    return path


def test_the_blocked_interpreter_has_no_torch():
    assert "No module named 'torch'" in run("import torch").stderr


def test_the_client_asks_and_verifies_without_torch(folder, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    logits = exports.cloud_of(exports.edge_of(pixels[None, None].astype(np.float32) / 255))
    with serving(folder, tmp_path / "log") as served:
        url = f"grpc://{served.grpc}"
        done = goldcut("infer", str(folder), str(tmp_path / "one.png"), "--url", url, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["answers"][0]["index"] == int(logits.argmax())
        done = goldcut("link", str(folder), "--url", url)
        assert done.returncode == 0, done.stderr
    done = goldcut("verify", str(folder))
    assert done.returncode == 0, done.stderr


def test_the_server_needs_no_torch_either(folder):
    code = "import goldcut.deploy.server, goldcut.deploy.rpc, goldcut.deploy.rest, goldcut.deploy.supervisor"
    assert run(code).returncode == 0


def test_a_command_that_needs_more_says_so_in_one_sentence(tmp_path):
    done = goldcut("scan", "torchvision:resnet18", "npz:none.npz", "--out", str(tmp_path))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "is not installed" in line
    assert "goldcut-edge" in line


def test_the_distribution_asks_for_no_more_than_the_whole_package_in_the_same_versions():
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    edge = tomllib.loads((ROOT / "edge" / "pyproject.toml").read_text())["project"]
    extras = whole["optional-dependencies"]
    assert {*edge["dependencies"]} <= {*whole["dependencies"], *extras["serve"]}
    assert {*edge["dependencies"], *edge["optional-dependencies"]["serve"]} >= {*extras["serve"]}
    assert not {re.split(r"[^\w-]", one)[0] for one in edge["dependencies"]} & {*ABSENT}
    assert edge["requires-python"] == whole["requires-python"]
    assert edge["scripts"] == whole["scripts"]
