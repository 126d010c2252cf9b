"""The table of a sweep: one row for each trial, cut and attack, in Parquet."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from goldcut.errors import SweepError
from goldcut.records import AttackRecord, AttackResult, CutProfile, Failure, ScanRecord
from goldcut.sweeps.trials import Trial

Row = dict[str, Any]

COLUMNS: Mapping[str, str] = {
    "trial": "string",
    "model": "string",
    "checkpoint": "string",
    "weights": "string",
    "model_sha256": "string",
    "data": "string",
    "data_sha256": "string",
    "defense": "string",
    "labels": "string",
    "level": "string",
    "effort": "string",
    "knowledge": "string",
    "aux": "string",
    "victims": "int64",
    "queries": "int64",
    "seed": "int64",
    "cut": "string",
    "place": "int64",
    "elements": "int64",
    "edge_flops": "int64",
    "edge_share": "float64",
    "edge_params": "int64",
    "payload_bytes": "int64",
    "within_share": "float64",
    "in_zone": "bool",
    "in_zone_paper": "bool",
    "recommended": "bool",
    "accuracy": "float64",
    "accuracy_undefended": "float64",
    "attack": "string",
    "recovered": "float64",
    "recovered_low": "float64",
    "recovered_high": "float64",
    "class_mean_recovered": "float64",
    "mse": "float64",
    "psnr": "float64",
    "ssim": "float64",
    "identification": "float64",
    "converged": "bool",
    "attack_seconds": "float64",
    "error": "string",
}
"""Columns and their types; `accuracy` is that behind the defence at the cut."""


def make_rows(trial: Trial, scan: ScanRecord, attack: AttackRecord) -> list[Row]:
    """A row for each cut and attack; one for each failed attack too, with its error and without figures."""
    cuts = {cut.name: (place, cut) for place, cut in enumerate(scan.cuts)}
    shared = _of_trial(trial, scan) | {
        "class_mean_recovered": attack.baselines.class_mean.recovered if attack.baselines.class_mean else None
    }
    ended: list[AttackResult | Failure] = [*attack.results, *attack.failed]
    ended.sort(key=lambda one: cuts[one.cut][0])
    return [_complete(shared | _of_cut(scan, *cuts[one.cut]) | _of_attack(one)) for one in ended]


def pack_rows(rows: Sequence[Row]) -> bytes:
    """Rows as the bytes of a Parquet file; columns that a row leaves out are null."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(name, kind) for name, kind in COLUMNS.items()])
    packed = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([_complete(row) for row in rows], schema=schema), packed)
    return packed.getvalue()


def read_rows(paths: Iterable[Path]) -> list[Row]:
    """The rows of several files, one after the other.

    Raises:
        SweepError: A file is damaged.
    """
    import pyarrow
    import pyarrow.parquet

    rows: list[Row] = []
    for path in paths:
        try:
            rows += pyarrow.parquet.ParquetFile(path).read().to_pylist()
        except (pyarrow.ArrowException, OSError) as error:
            raise SweepError(
                f"{path} is damaged: {error}", "Delete it and its trial's run, and sweep again."
            ) from error
    return rows


def _of_trial(trial: Trial, scan: ScanRecord) -> Row:
    return {
        "trial": trial.id,
        "model": trial.model.spec,
        "checkpoint": trial.model.checkpoint,
        "weights": trial.model.weights,
        "model_sha256": scan.model.sha256,
        "data": trial.data,
        "data_sha256": scan.data.sha256,
        **{key: getattr(trial, key) for key in ("defense", "labels", "level", "effort", "knowledge", "aux")},
        **{key: getattr(trial, key) for key in ("victims", "queries", "seed")},
        "accuracy_undefended": scan.accuracy,
    }


def _of_cut(scan: ScanRecord, place: int, cut: CutProfile) -> Row:
    return {
        "cut": cut.name,
        "place": place,
        **{
            key: getattr(cut, key) for key in ("elements", "edge_flops", "edge_params", "payload_bytes", "within_share")
        },
        "edge_share": cut.edge_flops / max(1, cut.edge_flops + cut.cloud_flops),
        "in_zone": cut.name in scan.zone.cuts,
        "in_zone_paper": cut.name in scan.zone_paper.cuts,
        "recommended": cut.name == scan.recommended,
        "accuracy": scan.accuracy if scan.defense is None else cut.accuracy,
    }


def _of_attack(ended: AttackResult | Failure) -> Row:
    if isinstance(ended, Failure):
        return {"attack": ended.attack, "error": ended.reason}
    names = ("recovered", "recovered_low", "recovered_high", "mse", "psnr", "ssim", "identification", "converged")
    return {"attack": ended.attack, "attack_seconds": ended.seconds, **{name: getattr(ended, name) for name in names}}


def _complete(row: Row) -> Row:
    return {name: row.get(name) for name in COLUMNS}
