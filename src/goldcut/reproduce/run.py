"""A table of the paper, step by step, in a folder that keeps what is done."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from goldcut import records
from goldcut.errors import RunError
from goldcut.progress import Progress, silent
from goldcut.records import Provenance, ReproduceRecord, StepRecord, write_atomically
from goldcut.report.reproduced import to_markdown
from goldcut.reproduce.packs import check_files, digest
from goldcut.reproduce.scale import SCALES, Scale
from goldcut.reproduce.steps import Bench, Step
from goldcut.reproduce.table import Results, Table
from goldcut.reproduce.tables import find_table
from goldcut.sources.factory import suggest
from goldcut.study.provenance import Stopwatch


@dataclass(frozen=True)
class Planned:
    """A step, and whether its record is there."""

    name: str
    done: bool


def find_scale(name: str) -> Scale:
    """A scale by its name.

    Raises:
        RunError: There is none.
    """
    if name not in SCALES:
        raise RunError(f"there is no scale {name!r}", suggest(name, SCALES))
    return SCALES[name]


def plan_table(table: str, out: Path, *, scale: str | Scale = "cpu") -> tuple[Planned, ...]:
    """The steps of a table, in order."""
    _, wanted = find_table(table)
    sized = find_scale(scale) if isinstance(scale, str) else scale
    return tuple(Planned(step.name, step.path(out).exists()) for step in wanted.plan(sized))


def reproduce(
    table: str,
    *,
    out: Path,
    data: Path | None = None,
    scale: str | Scale = "cpu",
    resume: bool = False,
    progress: Progress = silent,
) -> ReproduceRecord:
    """Carry out what is missing of a table, then judge it; OUT/TABLE.json and OUT/TABLE.md are written after each step.

    Args:
        table: Name or letter.
        out: Folder of the reproduction; tables that share steps share it.
        data: Folder of the image packs; `goldcut.reproduce.packs.FILES` says which.
        scale: "cpu", "paper", or sizes of your own.
        resume: Refuse to start anew.
        progress: Told the steps.

    Raises:
        GoldcutError: The table, the images, the machine or the folder cannot be used.
    """
    name, wanted = find_table(table)
    sized = find_scale(scale) if isinstance(scale, str) else scale
    steps = wanted.plan(sized)
    missing = tuple(step for step in steps if not step.path(out).exists())
    _check_device(sized)
    if missing:
        check_files(tuple(dict.fromkeys(pack for step in missing for pack in step.packs)), data)
    bench = Bench(out, data, sized, progress)
    begun = _begin(bench, resume, tuple(dict.fromkeys(pack for step in missing for pack in step.packs)))
    for place, step in enumerate(steps):
        progress(f"table {name}", place, len(steps))
        if step in missing:
            watch = Stopwatch()
            found = step.run(bench)
            records.save(found, step.path(out))
            about = watch.provenance(settings={}, seed=0, device=sized.device)
            write_atomically(_about_path(step, out), records.to_json(about))
            _write(name, wanted, bench, steps, begun)
    progress(f"table {name}", len(steps), len(steps))
    return _write(name, wanted, bench, steps, begun)


def _check_device(scale: Scale) -> None:
    if scale.device.startswith("cuda") and not torch.cuda.is_available():
        raise RunError(
            f"--scale {scale.name} trains the published networks on a GPU and PyTorch finds none here",
            "Use --scale cpu, or a machine with a GPU.",
        )


def _begin(bench: Bench, resume: bool, packs: tuple[str, ...]) -> dict[str, Any]:
    """What the folder was begun with; settings.json is written, and other settings or images are refused."""
    path = bench.folder / "settings.json"
    if resume and not path.exists():
        raise RunError(f"{bench.folder} holds no reproduction to go on with", "Leave --resume out to start anew.")
    now = msgspec.json.decode(msgspec.json.encode({"scale": asdict(bench.scale), "data_sha256": {}}))
    then = msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) if path.exists() else now
    for key, value in now["scale"].items():
        if then["scale"].get(key) != value:
            change = (
                f"{key} = {then['scale'].get(key)}, now it is {value}"
                if not isinstance(value, dict)
                else f"other {key}"
            )
            raise RunError(
                f"{bench.folder} holds a reproduction with {change}",
                "Use the same --scale to go on, or another --out.",
            )
    for pack in packs:
        found = digest(bench.shares(pack))
        if then["data_sha256"].setdefault(pack, found) != found:
            raise RunError(
                f"{bench.folder} was begun with other {pack} images than {bench.data} holds now",
                "Give the same --data to go on, or another --out.",
            )
    write_atomically(path, records.to_json(then))
    return then


def _write(name: str, table: Table, bench: Bench, steps: tuple[Step, ...], begun: Mapping[str, Any]) -> ReproduceRecord:
    """Judge what there is and write it."""
    results: Results = {step: found for step in steps if (found := step.result(bench.folder)) is not None}
    answer = table.answer(bench.scale, results)
    packs = {pack for step in steps for pack in step.packs}
    record = ReproduceRecord(
        table=name,
        title=table.title,
        scale=bench.scale.name,
        settings=begun["scale"],
        data_sha256={pack: sha for pack, sha in begun["data_sha256"].items() if pack in packs},
        rows=answer.rows,
        claims=answer.claims,
        steps=tuple(_about(step, bench.folder, results.get(step)) for step in steps),
        complete=len(results) == len(steps),
        command=f"goldcut reproduce {name} --scale {bench.scale.name}{' --data DIR' if packs else ''} --out DIR",
    )
    records.save(record, bench.folder / f"{name}.json")
    write_atomically(bench.folder / f"{name}.md", to_markdown(record).encode())
    return record


def _about_path(step: Step, folder: Path) -> Path:
    return step.path(folder).with_suffix(".provenance.json")


def _about(step: Step, folder: Path, result: Any) -> StepRecord:
    """How a step came to be."""
    path = _about_path(step, folder)
    if not path.exists():
        return StepRecord(step=step.name)
    about = msgspec.json.decode(path.read_bytes(), type=Provenance)
    model = result.model.sha256 if hasattr(result, "model") else ""
    return StepRecord(
        step=step.name,
        seconds=about.seconds,
        started=about.started,
        threads=about.threads,
        machine=about.machine,
        device=about.device,
        model_sha256=model,
        versions=about.versions,
    )
