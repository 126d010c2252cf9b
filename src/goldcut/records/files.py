"""Records as versioned JSON: written whole or not at all, read back only when the version is known."""

import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from goldcut.errors import RunError
from goldcut.records.attack import AttackRecord
from goldcut.records.challenge import ChallengeRecord, ScoreRecord
from goldcut.records.cuts import CutsRecord
from goldcut.records.link import LinkRecord
from goldcut.records.manifest import EdgeAttackRecord, InferRecord, Manifest, VerifyRecord
from goldcut.records.promise import PromiseRecord
from goldcut.records.recommend import RecommendRecord
from goldcut.records.reproduce import ReproduceRecord
from goldcut.records.scan import ScanRecord
from goldcut.records.train import TrainRecord

SCHEMAS: dict[str, type[Any]] = {
    "goldcut.cuts/1": CutsRecord,
    "goldcut.scan/1": ScanRecord,
    "goldcut.attack/1": AttackRecord,
    "goldcut.challenge/1": ChallengeRecord,
    "goldcut.score/1": ScoreRecord,
    "goldcut.promise/1": PromiseRecord,
    "goldcut.train/1": TrainRecord,
    "goldcut.manifest/1": Manifest,
    "goldcut.verify/1": VerifyRecord,
    "goldcut.infer/1": InferRecord,
    "goldcut.edge-attack/1": EdgeAttackRecord,
    "goldcut.recommend/1": RecommendRecord,
    "goldcut.link/1": LinkRecord,
    "goldcut.reproduce/1": ReproduceRecord,
}
"""Every file format by its tag; `json_schema` publishes them."""

Record = TypeVar("Record")


def to_json(record: object) -> bytes:
    """A record as indented UTF-8 JSON; figures that are not finite become null."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def json_schema(tag: str) -> dict[str, Any]:
    """The JSON Schema of a file format.

    Example:
        >>> json_schema("goldcut.cuts/1")["$ref"]
        '#/$defs/CutsRecord'
    """
    return msgspec.json.schema(SCHEMAS[tag])


def save(record: object, path: Path) -> None:
    """Write a record whole or not at all: a reader never sees half a file."""
    write_atomically(path, to_json(record))


def write_atomically(path: Path, content: bytes) -> None:
    """Write bytes to a temporary neighbour, then rename it over `path`.

    Raises:
        RunError: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}", "Choose a folder that can be written.") from error


def load(
    path: Path,
    kind: type[Record],
    *,
    missing: str = "Run `goldcut scan` into this folder first.",
    again: str = "Make the run again with this version, in a new folder.",
) -> Record:
    """Read a record back.

    Args:
        path: The file.
        kind: Which record it holds.
        missing: What to do where there is none.
        again: What to do where it is damaged or of another version.

    Raises:
        RunError: The file is missing, of another schema version, or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", missing) from error
    expected = next(tag for tag, record in SCHEMAS.items() if record is kind)
    try:
        head = msgspec.json.decode(content, type=dict[str, Any])
        if head.get("schema") != expected:
            raise RunError(
                f"{path} has schema {head.get('schema')!r}, this goldcut reads {expected!r}",
                again,
            )
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise RunError(f"{path} is damaged: {error}", again) from error
