"""Records go to JSON and back, follow their published schema, and refuse what they do not know."""

import json
import math

import jsonschema
import pytest

from goldcut import records
from goldcut.errors import RunError
from goldcut.records import AttackRecord, ScanRecord
from report_samples import resnet_attack, resnet_scan

SCAN, ATTACK = resnet_scan(), resnet_attack()


@pytest.mark.parametrize(("record", "kind"), [(SCAN, ScanRecord), (ATTACK, AttackRecord)], ids=["scan", "attack"])
def test_round_trip(tmp_path, record, kind):
    records.save(record, tmp_path / "record.json")
    assert records.to_json(records.load(tmp_path / "record.json", kind)) == records.to_json(record)


@pytest.mark.parametrize("record", [SCAN, ATTACK], ids=["scan", "attack"])
def test_the_published_schema_describes_the_file(record):
    content = json.loads(records.to_json(record))
    schema = records.json_schema(content["schema"])
    jsonschema.validate(content, schema)
    content.pop("provenance")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)


def test_another_schema_version_is_refused(tmp_path):
    content = json.loads(records.to_json(SCAN))
    content["schema"] = "goldcut.scan/99"
    (tmp_path / "scan.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"goldcut\.scan/99.*goldcut\.scan/1"):
        records.load(tmp_path / "scan.json", ScanRecord)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "scan.json").write_bytes(records.to_json(SCAN)[:200])
    with pytest.raises(RunError, match="damaged"):
        records.load(tmp_path / "scan.json", ScanRecord)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(RunError, match="goldcut scan"):
        records.load(tmp_path / "scan.json", ScanRecord)


def test_figures_that_are_not_finite_become_null():
    assert json.loads(records.to_json({"a": math.nan, "b": math.inf})) == {"a": None, "b": None}


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "scan.json"
    records.save(SCAN, path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(RunError, match="No space left"):
        records.save(ATTACK, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["scan.json"]
