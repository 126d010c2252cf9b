"""From a model and a cut to a folder with both halves, verified before it is written."""

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from torch import Tensor

from goldcut import records
from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.cuts.split import Split, split_at
from goldcut.deploy.certificate import certify
from goldcut.deploy.defended import Edge, defend
from goldcut.deploy.equality import Reference, compare, refuse_unequal
from goldcut.deploy.halves import load_onnx, to_onnx, to_program, to_pt2, with_plain_strides
from goldcut.deploy.manifest import (
    CLOUD,
    EDGE,
    MANIFEST,
    NAME,
    REFERENCE,
    digest,
    half_metadata,
    open_codec,
    version_of,
)
from goldcut.deploy.runtime import Half, load_onnxruntime
from goldcut.deploy.synthetic import as_floats, synthetic_images
from goldcut.errors import DeployError
from goldcut.progress import Progress, silent
from goldcut.records import CodecRecord, Manifest, Number, Preprocessing, ScanRecord
from goldcut.sources.images import Images, Pack
from goldcut.sources.models import Target
from goldcut.sources.pictures import picture_note

FORMATS = ("onnx", "pt2")
PACKAGES = ("goldcut", "torch", "onnx", "onnxscript", "onnxruntime", "numpy")
SYNTHETIC, REFERENCES, MOST_IMAGES, BATCH = 32, 4, 1000, 50


def export(
    target: Target,
    cut: str,
    out: Path,
    *,
    pack: Pack | None = None,
    codec: Number = "fp32",
    zstd: bool = False,
    defense: str | None = None,
    audit: Path | None = None,
    formats: Sequence[str] = ("onnx",),
    name: str | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Write OUT with edge.onnx, cloud.onnx, reference.safetensors and manifest.json, all of it or nothing.

    Before anything is there, onnxruntime runs edge -> codec -> cloud beside the model.

    Args:
        target: The model; its images are in [0, 1].
        cut: Name or alias of a cut; "recommended" for the one that the audit recommends.
        out: A folder that does not exist or is empty.
        pack: Real images for the comparison (the scanned ones, up to a thousand), which also give the names of the
            classes; synthetic ones when None.
        codec: How an element of Z is written on the wire.
        zstd: Whether each Z is compressed.
        defense: What else is done to Z on the device, such as "noise:0.3"; needs `pack`, whose images set its scale.
        audit: Folder of an audit for the certificate.
        formats: "onnx", and "pt2" for files of torch.export beside it.
        name: Of the model on the network; made from its spec when None.
        progress: Told how far it is.

    Raises:
        ModelError: There is no such cut, or it is the output.
        DeployError: A half cannot be exported, or does not compute what the model does; `out` holds something or
            cannot be written.
        MissingExtra: A package of the extra `export` is not installed.
    """
    load_onnx(), load_onnxruntime("export")
    if unknown := [one for one in formats if one not in FORMATS]:
        raise DeployError(f"there is no format {unknown[0]!r}", f"Choose from {', '.join(FORMATS)}.")
    called = name or model_name(target.record.spec)
    if not NAME.fullmatch(called):
        raise DeployError(f"a model cannot be called {called!r}", "Use letters, digits, dot, dash and underscore.")
    with staged(out) as folder:
        graph = find_cuts(target.model.cpu(), target.input_shape)
        split = split_at(graph, _chosen(cut, audit))
        record = CodecRecord(name=codec, zstd=zstd, scales="one a sample, on the wire" if codec == "int8" else "none")
        edge = defend(graph, split, pack, defense)
        jumps = edge.record is not None and edge.record.jumps
        made = _write_halves(folder, edge, split, target, formats, progress)
        references = References(graph, edge, split, pack, progress)
        found = compare(made.edge, made.cloud, open_codec(record, split.cut.shape), references, jumps=jumps)
        labels = references.labels if len(references.classes) == graph.output_shape[0] else None
        equality = found.record(references.source, labels)
        refuse_unequal(equality, jumps=jumps)
        _write_reference(folder, graph, edge, split)
        files = {path.name: digest(path.read_bytes()) for path in sorted(folder.iterdir())}
        record = replace(record, low=found.low, high=found.high, payload_bytes=int(np.median(found.payload)))
        manifest = Manifest(
            model_name=called,
            version=version_of(files[EDGE], files[CLOUD], record, split.cut.shape),
            model=target.record,
            cut=split.cut.name,
            kind=split.cut.kind,
            z_shape=split.cut.shape,
            logits_shape=graph.output_shape,
            preprocessing=_preprocessing(target),
            codec=record,
            classes=references.classes if labels is not None else _numbered(graph),
            files=files,
            equality=equality,
            certificate=None
            if audit is None
            else certify(audit, split.cut.name, target.record, files[EDGE], record, edge.record),
            defense=edge.record,
            versions=_versions(),
        )
        (folder / MANIFEST).write_bytes(records.to_json(manifest))
    return manifest


def model_name(spec: str) -> str:
    """The name of a model from its spec.

    Example:
        >>> model_name("torchvision:resnet18"), model_name("nets/mine.py:build")
        ('resnet18', 'build')
    """
    tail = spec.rpartition(":")[2].rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", tail).strip("._-") or "model"


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its name at the end, and is gone when anything fails.

    Raises:
        DeployError: `out` holds something, or cannot be written.
    """
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DeployError(f"{out} exists and is not empty", "Give a new folder.")
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            yield stage
            stage.chmod(0o755)
            if out.exists():
                out.rmdir()
            os.rename(stage, out)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
    except OSError as error:
        raise DeployError(
            f"{out} cannot be written: {error.strerror}", "Nothing was left; give another --out."
        ) from error


class References:
    """What the model makes of the images of the comparison, batch by batch.

    Attributes:
        source: DATA, or "synthetic".
        classes: Names in label order; empty for synthetic images.
        labels: Of the images; None for synthetic ones.
    """

    def __init__(self, graph: CutGraph, edge: Edge, split: Split, pack: Pack | None, progress: Progress) -> None:
        self._graph, self._edge, self._split, self._progress = graph, edge, split, progress
        self._images: Images | None = None
        self.source = "synthetic"
        self.classes: tuple[str, ...] = ()
        self.labels: np.ndarray | None = None
        if pack is not None:
            images = pack.scanned
            chosen = np.linspace(0, len(images) - 1, min(MOST_IMAGES, len(images))).astype(int)
            self._images = images.subset(chosen, images.part)
            self.source, self.classes, self.labels = images.spec, images.classes, self._images.labels

    def __iter__(self) -> Iterator[Reference]:
        total = SYNTHETIC if self._images is None else len(self._images)
        for start in range(0, total, BATCH):
            index = np.arange(start, min(start + BATCH, total))
            self._progress("compare with the model", start, total)
            yield refer(self._graph, self._edge, self._split, self._batch(index), seed=start)
        self._progress("compare with the model", total, total)

    def _batch(self, index: np.ndarray) -> Tensor:
        if self._images is not None:
            return self._images.batch(index)
        return torch.from_numpy(as_floats(synthetic_images(SYNTHETIC, self._graph.input_shape)[index]))


def refer(graph: CutGraph, edge: Edge, split: Split, images: Tensor, seed: int) -> Reference:
    """What the model itself makes of images: Z as its edge half sends it, and its logits, behind the defence if any."""
    with torch.no_grad():
        random = edge.draw(len(images), seed)
        z, logits = edge(images, *random), graph.module(images)
        if edge.record is None:
            return Reference(images.numpy(), z.numpy(), logits.numpy())
        drawn = random[0].numpy() if random else None
        return Reference(images.numpy(), z.numpy(), split.cloud(z).numpy(), drawn, logits.numpy())


@dataclass(frozen=True, eq=False)
class _Made:
    edge: Half
    cloud: Half


def _chosen(cut: str, audit: Path | None) -> str:
    """The cut that the flag means."""
    if cut != "recommended":
        return cut
    if audit is None:
        raise DeployError("--cut recommended needs an audit", "Give --audit RUN, or the name of a cut.")
    recommended = records.load(audit / "scan.json", ScanRecord).recommended
    if recommended is None:
        raise DeployError(f"the audit in {audit} recommends no cut", "Give the name of a cut.")
    return recommended


def _write_halves(
    folder: Path, edge: Edge, split: Split, target: Target, formats: Sequence[str], progress: Progress
) -> _Made:
    """Both halves in every format, and opened in onnxruntime."""
    metadata = half_metadata(split.cut.name, target.record.sha256, edge.record)
    images = torch.from_numpy(as_floats(synthetic_images(2, target.input_shape)))
    random = edge.draw(len(images), seed=0)
    with torch.no_grad():
        z = edge(images, *random)
        logits = split.cloud(z)
    if z.dtype != torch.float32 or logits.dtype != torch.float32:
        raise DeployError(f"Z is {z.dtype} and the logits are {logits.dtype}", "Export a float32 model.")
    opened = []
    taken = ("images", "random")[: 1 + len(random)]
    cloud = with_plain_strides(split.cloud)
    steps = ((EDGE, edge, (images, *random), (*taken, "z"), z), (CLOUD, cloud, (z,), ("z", "logits"), logits))
    for turn, (name, half, samples, names, answer) in enumerate(steps):
        progress("export the halves", turn, len(steps))
        program = to_program(half, samples)
        content = to_onnx(program, names, metadata)
        (folder / name).write_bytes(content)
        if "pt2" in formats:
            (folder / name).with_suffix(".pt2").write_bytes(to_pt2(program))
        shapes = tuple(samples[0].shape[1:]), tuple(answer.shape[1:])
        opened.append(Half(content, name, shapes, random=edge.random_shape if name == EDGE else ()))
    progress("export the halves", len(steps), len(steps))
    return _Made(*opened)


def _write_reference(folder: Path, graph: CutGraph, edge: Edge, split: Split) -> None:
    """Synthetic images and what the model makes of them, so that the halves can be checked without the model."""
    images = synthetic_images(REFERENCES, graph.input_shape, seed=1)
    made = refer(graph, edge, split, torch.from_numpy(as_floats(images)), seed=1)
    stored = {"images": images, "z": np.ascontiguousarray(made.z), "logits": np.ascontiguousarray(made.logits)}
    if made.random is not None:
        stored["random"] = made.random
    (folder / REFERENCE).write_bytes(safetensors.numpy.save(stored))


def _preprocessing(target: Target) -> Preprocessing:
    record = target.record
    fit = picture_note(record.input_shape) if record.input_shape[0] in (1, 3) else "arrays of this shape only"
    return Preprocessing(shape=record.input_shape, fit=fit, mean=record.mean, std=record.std)


def _numbered(graph: CutGraph) -> tuple[str, ...]:
    """Numbers as names of classes, where the logits are one vector."""
    return tuple(map(str, range(graph.output_shape[0]))) if len(graph.output_shape) == 1 else ()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
