"""An export that was changed is refused in one sentence, and `verify` says what differs."""

import json
import os
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import exports
from goldcut.deploy.manifest import open_export
from goldcut.deploy.verify import verify
from goldcut.errors import DeployError, GoldcutError
from goldcut.records import Certificate, save


@pytest.fixture
def folder(tmp_path) -> Path:
    exports.write_export(tmp_path / "export", "int8", True)
    return tmp_path / "export"


def edit(folder: Path, **changes) -> None:
    path = folder / "manifest.json"
    path.write_bytes(json.dumps({**json.loads(path.read_bytes()), **changes}).encode())


def test_an_export_that_was_not_touched_is_verified(folder):
    record = verify(folder)
    assert record.passed
    assert [check.name for check in record.checks] == [
        "file edge.onnx", "file cloud.onnx", "file reference.safetensors", "halves", "certificate",
    ]  # fmt: skip
    assert open_export(folder).manifest_sha256 == record.manifest_sha256


@pytest.mark.parametrize("name", ["edge.onnx", "cloud.onnx", "reference.safetensors"])
def test_a_changed_file_is_named(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    record = verify(folder)
    assert not record.passed
    failed = {check.name: check.detail for check in record.checks if not check.passed}
    assert "hash" in failed[f"file {name}"]
    assert "halves" in failed


def test_a_missing_file_is_named(folder):
    (folder / "edge.onnx").unlink()
    failed = [check for check in verify(folder).checks if not check.passed]
    assert "No such file" in failed[0].detail
    open_export(folder).open_cloud()  # the server needs no edge half


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(folder):
    (folder / "cloud.onnx").chmod(0)
    with pytest.raises(DeployError, match="cannot be read"):
        open_export(folder).open_cloud()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "goldcut.manifest/2"}, "has schema 'goldcut.manifest/2'"),
        ({"z_shape": "?"}, "is damaged"),
        ({"z_shape": [1, 4, 0]}, "dimension below 1"),
        ({"z_shape": [1, 2, 8]}, "calls itself version"),
        ({"version": "0" * 12}, "calls itself version"),
        ({"model_name": "../x"}, "names the model"),
        ({"files": {"../edge.onnx": "0" * 64}}, "no file of this folder"),
        ({"codec": {"name": "fp32"}}, "calls itself version"),
        ({"codec": {"name": "int4"}}, "is damaged"),
    ],
    ids=str,
)
def test_a_manifest_that_is_none_is_refused(folder, changes, words):
    edit(folder, **changes)
    with pytest.raises(GoldcutError, match=words):
        open_export(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"schema": 1}'])
def test_a_manifest_that_is_no_json_is_refused(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(GoldcutError, match=r"manifest\.json"):
        open_export(folder)


def test_a_folder_without_a_manifest_says_how_to_make_one(tmp_path):
    with pytest.raises(GoldcutError, match="goldcut export"):
        open_export(tmp_path)


def test_a_cloud_half_of_another_cut_is_refused(tmp_path):
    exports.write_export(tmp_path, cloud=exports.cloud_onnx(cut="block2"))
    with pytest.raises(DeployError, match=r"says goldcut\.cut = block2 and the manifest says block1"):
        open_export(tmp_path).open_cloud()


def test_a_cloud_half_of_another_export_is_refused(tmp_path):
    exports.write_export(tmp_path / "a")
    exports.write_export(tmp_path / "b", cloud=exports.cloud_onnx(weight=exports.WEIGHT * 2))
    (tmp_path / "a" / "cloud.onnx").write_bytes((tmp_path / "b" / "cloud.onnx").read_bytes())
    with pytest.raises(DeployError, match="belongs to another"):
        open_export(tmp_path / "a").open_cloud()


def test_a_half_that_computes_something_else_is_found_by_verify(tmp_path):
    """Hashes and manifest agree, the answers do not: somebody exported other weights under the old reference."""
    exports.write_export(tmp_path, cloud=exports.cloud_onnx(weight=exports.WEIGHT * 1.01))
    failed = [check for check in verify(tmp_path).checks if not check.passed]
    assert [check.name for check in failed] == ["halves"]
    assert "differ from the model's" in failed[0].detail


def certified(folder: Path, **changes) -> None:
    """Write a certificate into the manifest."""
    export = open_export(folder)
    certificate = Certificate(
        run="run", cut="block1", in_zone=False, scan_sha256="0" * 64, model_sha256=exports.MODEL_SHA256,
        edge_sha256=export.manifest.files["edge.onnx"], same_edge=False, differences=("the cut was not attacked",),
    )  # fmt: skip
    save(replace(export.manifest, certificate=replace(certificate, **changes)), folder / "manifest.json")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "the cut was not attacked"),
        ({"edge_sha256": "1" * 64}, "the certificate is about edge half 1111"),
        ({"cut": "block7"}, "the certificate is about cut block7"),
    ],
    ids=str,
)
def test_a_certificate_that_is_not_about_this_edge_fails(folder, changes, words):
    certified(folder, **changes)
    failed = [check for check in verify(folder).checks if not check.passed]
    assert [check.name for check in failed] == ["certificate"]
    assert words in failed[0].detail


def test_the_manifest_goes_to_json_and_back(folder):
    manifest = open_export(folder).manifest
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=type(manifest)) == manifest


def test_the_halves_answer_as_numpy_does(folder):
    images = np.random.default_rng(5).random((7, *exports.SHAPE), np.float32)
    export = open_export(folder)
    z = export.open_edge()(images)
    assert np.allclose(z, exports.edge_of(images), atol=1e-6)
    assert np.allclose(export.open_cloud()(z), exports.cloud_of(z), atol=1e-5)
