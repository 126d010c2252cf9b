"""The certificate against the audit that it cites, and against the export that carries it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import exports
import report_samples as samples
from goldcut import records
from goldcut.deploy.certificate import certify, differing_fields
from goldcut.deploy.manifest import open_export
from goldcut.deploy.verify import verify
from goldcut.errors import DeployError
from goldcut.records import AttackRecord, CodecRecord, DefenseRecord, EdgeAttackRecord, ModelRecord, ScanRecord

CUT = "layer4.0"
MODEL = ModelRecord(spec="python:tiny", input_shape=exports.SHAPE, sha256=exports.MODEL_SHA256)
FP32 = CodecRecord()


def renamed(record, kind):
    """A made-up record in which the cut is called as in the hand-made export."""
    return msgspec.json.decode(msgspec.json.encode(record).replace(f'"{CUT}"'.encode(), b'"block1"'), type=kind)


@pytest.fixture
def run(tmp_path) -> Path:
    """An audit of the model of the hand-made export."""
    folder = tmp_path / "run"
    records.save(replace(renamed(samples.resnet_scan(), ScanRecord), model=MODEL), folder / "scan.json")
    sha256 = hashlib.sha256((folder / "scan.json").read_bytes()).hexdigest()
    attack = renamed(samples.resnet_attack(), AttackRecord)
    records.save(replace(attack, scan_sha256=sha256), folder / "attack.json")
    return folder


def test_it_says_what_the_audit_says(run):
    held = certify(run, "block1", MODEL, "e" * 64, FP32)
    attack = records.load(run / "attack.json", AttackRecord)
    assert held.same_edge
    assert held.differences == ()
    assert held.worst == next(one for one in attack.worst if one.cut == "block1")
    assert held.view == attack.view
    assert held.in_zone
    assert held.zone[0] == "block1"
    assert held.attack_sha256 == hashlib.sha256((run / "attack.json").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("model", "codec", "defense", "words"),
    [
        (replace(MODEL, sha256="0" * 64), FP32, None, "weights"),
        (replace(MODEL, mean=(0.5,), std=(0.5,)), FP32, None, "mean"),
        (replace(MODEL, input_shape=(1, 8, 8)), FP32, None, "input_shape"),
        (MODEL, CodecRecord(name="int8"), None, "sends int8"),
        (MODEL, CodecRecord(name="fp16", zstd=True), None, "sends fp16"),
        (MODEL, FP32, DefenseRecord(spec="noise:0.3", scale_sha256="a" * 64), "applies noise:0.3"),
    ],
    ids=["weights", "normalisation", "size", "int8", "fp16", "defence"],
)
def test_anything_else_than_what_was_audited_is_named(run, model, codec, defense, words):
    held = certify(run, "block1", model, "e" * 64, codec, defense)
    assert not held.same_edge
    assert any(words in difference for difference in held.differences)


def defended(run: Path, spec: str) -> str:
    """Make the audit one behind a defence; gives the hash of its images."""
    scan = records.load(run / "scan.json", ScanRecord)
    records.save(replace(scan, defense=spec), run / "scan.json")
    sha256 = hashlib.sha256((run / "scan.json").read_bytes()).hexdigest()
    attack = records.load(run / "attack.json", AttackRecord)
    records.save(replace(attack, scan_sha256=sha256), run / "attack.json")
    return scan.data.sha256


def test_an_audit_behind_the_same_defence_was_made_on_this_edge(run):
    images = defended(run, "noise:.30")
    same = DefenseRecord(spec="noise:0.3", scale_sha256=images, random_shape=(2, 4))
    assert certify(run, "block1", MODEL, "e" * 64, FP32, same).same_edge
    for other, words in (
        (None, "applies none"),
        (replace(same, spec="noise:0.1"), "applies noise:0.1"),
        (replace(same, spec="laplace:0.3"), "applies laplace:0.3"),
        (replace(same, scale_sha256="b" * 64), "by other images"),
    ):
        (difference,) = certify(run, "block1", MODEL, "e" * 64, FP32, other).differences
        assert words in difference


def test_compression_alone_changes_nothing_that_an_attacker_sees(run):
    assert certify(run, "block1", MODEL, "e" * 64, CodecRecord(zstd=True)).same_edge


def test_a_cut_that_was_not_attacked_or_is_not_there(run):
    attack = records.load(run / "attack.json", AttackRecord)
    records.save(replace(attack, worst=attack.worst[:1]), run / "attack.json")
    assert certify(run, "block1", MODEL, "e" * 64, FP32).differences == ("the cut was not attacked",)
    (run / "attack.json").unlink()
    held = certify(run, "block1", MODEL, "e" * 64, FP32)
    assert (held.view, held.worst, held.attack_sha256, held.same_edge) == (None, None, None, False)
    with pytest.raises(DeployError, match="no cut nowhere"):
        certify(run, "nowhere", MODEL, "e" * 64, FP32)


def test_an_attack_of_another_scan_or_an_unfinished_one_is_named(run):
    attack = records.load(run / "attack.json", AttackRecord)
    records.save(replace(attack, scan_sha256="0" * 64, complete=False), run / "attack.json")
    assert len(certify(run, "block1", MODEL, "e" * 64, FP32).differences) == 2


def carried(folder: Path, run: Path, number: str = "fp32") -> Path:
    """An export that carries the certificate of a run."""
    exports.write_export(folder, number)
    manifest = open_export(folder).manifest
    certificate = certify(run, "block1", manifest.model, manifest.files["edge.onnx"], manifest.codec)
    records.save(replace(manifest, certificate=certificate), folder / "manifest.json")
    return folder


def failed(folder: Path, run: Path | None = None) -> list[str]:
    return [check.name for check in verify(folder, audit=run).checks if not check.passed]


def test_verify_makes_the_certificate_again(run, tmp_path):
    folder = carried(tmp_path / "export", run)
    assert failed(folder) == []
    assert failed(folder, run) == []
    attack = records.load(run / "attack.json", AttackRecord)
    worst = tuple(replace(one, recovered=one.recovered / 2) for one in attack.worst)
    records.save(replace(attack, worst=worst), run / "attack.json")
    assert failed(folder) == []
    assert failed(folder, run) == ["certificate"]
    detail = next(check.detail for check in verify(folder, audit=run).checks if check.name == "certificate")
    assert "worst" in detail
    assert "attack_sha256" in detail


def test_another_codec_needs_an_attack_of_its_own(run, tmp_path):
    folder = carried(tmp_path / "export", run, "int8")
    assert failed(folder) == ["certificate"]
    manifest = open_export(folder).manifest
    assert manifest.certificate is not None
    assert manifest.certificate.view is not None
    record = EdgeAttackRecord(
        version=manifest.version,
        edge_sha256=manifest.files["edge.onnx"],
        cut="block1",
        codec="int8",
        view=manifest.certificate.view,
        results=(),
        worst=manifest.certificate.worst,
    )
    records.save(record, folder / "attack.json")
    assert failed(folder) == []
    records.save(replace(record, version="0" * 12), folder / "attack.json")
    assert failed(folder) == ["certificate", "attack"]


def test_the_path_of_the_run_is_no_difference(run):
    held = certify(run, "block1", MODEL, "e" * 64, FP32)
    assert differing_fields(held, replace(held, run="elsewhere")) == []
    assert differing_fields(held, replace(held, in_zone=False)) == ["in_zone"]
