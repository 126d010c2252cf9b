"""A run folder as the report sees it: its records, checked against each other."""

import hashlib
from pathlib import Path

from goldcut import records
from goldcut.errors import RunError
from goldcut.records import AttackRecord, PromiseRecord, ScanRecord


def read_run(run: Path) -> tuple[ScanRecord, AttackRecord | None]:
    """The records of a run folder.

    Raises:
        RunError: There is no scan, a file is damaged, or the attack was made on another scan.
    """
    scan = records.load(run / "scan.json", ScanRecord)
    if not (run / "attack.json").exists():
        return scan, None
    attack = records.load(run / "attack.json", AttackRecord)
    if attack.scan_sha256 != hashlib.sha256((run / "scan.json").read_bytes()).hexdigest():
        raise RunError(
            f"{run / 'attack.json'} was made on another scan than {run / 'scan.json'}",
            "Delete attack.json and run `goldcut attack` again.",
        )
    return scan, attack


def read_promise(run: Path) -> PromiseRecord | None:
    """The promise of a run folder, where one was asked for.

    Raises:
        RunError: The file is damaged, or the promise was made on another scan.
    """
    path = run / "promise.json"
    if not path.exists():
        return None
    promise = records.load(path, PromiseRecord)
    if promise.scan_sha256 != hashlib.sha256((run / "scan.json").read_bytes()).hexdigest():
        raise RunError(f"{path} was made on another scan", "Delete it and run `goldcut promise` again.")
    return promise
