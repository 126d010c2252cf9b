"""From a model and labelled images to scan.json: cuts, prices, statistics, and the zones they point at."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from goldcut import records
from goldcut.cost.flops import price_cuts
from goldcut.cost.measure import measure_cut
from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.errors import DataError, ModelError, RunError
from goldcut.probe.labels import cluster_labels, looks_like_logits, predict
from goldcut.probe.profile import Profile, TallyPass, profile_cuts
from goldcut.probe.tally import tally_cuts
from goldcut.progress import Progress, silent
from goldcut.records import CutsRecord, PricedCut, ScanRecord
from goldcut.sources.factory import is_file_spec
from goldcut.sources.images import Pack, load_images
from goldcut.sources.models import Target, load_model
from goldcut.study.defended import defended_accuracies, open_graph
from goldcut.study.provenance import Stopwatch
from goldcut.study.run import Run, refuse_other_settings, same
from goldcut.zone.locate import locate_zone, recommend
from goldcut.zone.paper import paper_zone

BATCH_SIZE = 128
MEMORY_BYTES = 4 * 2**30


def open_sources(
    model: str,
    data: str,
    *,
    input_shape: tuple[int, int, int] | None = None,
    checkpoint: Path | None = None,
    weights: str | None = None,
    classes: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> tuple[Target, Pack]:
    """Load MODEL and DATA; a model that states no input size, or is built for any, takes the size of the images.

    Raises:
        ModelError, DataError, MissingExtra: One of them cannot be used.
    """
    flags: dict[str, Any] = {
        "checkpoint": checkpoint,
        "weights": weights,
        "classes": classes,
        "mean": mean,
        "std": std,
    }
    if input_shape is None and (is_file_spec(model) or model.startswith("goldcut:")):
        pack = load_images(data)
        target = load_model(model, images_shape=pack.scanned.shape, **flags)
        return target, pack if target.input_shape == pack.scanned.shape else load_images(data, shape=target.input_shape)
    target = load_model(model, input_shape=input_shape, **flags)
    return target, load_images(data, shape=target.input_shape)


def list_cuts(target: Target, *, level: str = "block", measure: bool = False) -> CutsRecord:
    """Every cut of a model at a level, priced (on request also timed on this machine), and what is no cut.

    Raises:
        ModelError: The model cannot be traced or has no cut.
    """
    graph = find_cuts(target.model, target.input_shape)
    return CutsRecord(model=target.record, cuts=_price(graph, level, measure), refused=graph.refused)


def _price(graph: CutGraph, level: str, measure: bool) -> tuple[PricedCut, ...]:
    """The cuts of a level with what they cost; the output has no cloud half to be timed."""
    cuts = price_cuts(graph, graph.at_level(level))
    if not measure:
        return cuts
    timed = {cut.name: measure_cut(graph, cut.name) for cut in cuts if cut.level != "output"}
    return tuple(
        replace(
            cut,
            edge_seconds=timed[cut.name].edge_seconds,
            cloud_seconds=timed[cut.name].cloud_seconds,
            edge_peak_bytes=timed[cut.name].edge_peak_bytes,
        )
        if cut.name in timed
        else cut
        for cut in cuts
    )


def scan(
    target: Target,
    pack: Pack,
    *,
    out: Path,
    labels: str = "truth",
    level: str = "block",
    measure: bool = False,
    defense: str | None = None,
    device: str = "cpu",
    memory: int = MEMORY_BYTES,
    seed: int = 0,
    tally: TallyPass = tally_cuts,
    progress: Progress = silent,
) -> ScanRecord:
    """Measure Z at every cut on the scanned images and write OUT/scan.json.

    Args:
        target: The model; its images are in [0, 1].
        pack: The images; `pack.scanned` is measured.
        out: The run folder. A finished scan with the same settings is returned as it is; an
            interrupted one goes on.
        labels: "truth", "predicted", or "clusters:K".
        level: "block", "group" or "all".
        measure: Whether to time both halves of every cut on this machine.
        defense: What is done to Z before it leaves the device, such as "noise:0.3"; the statistics are of what is
            sent, and so are the attacks on this run.
        device: Where the model runs.
        memory: Most bytes for the statistics.
        seed: Deals images into jackknife folds and starts k-means.
        tally: Carries out the pass over all images.
        progress: Told how far the work is.

    Raises:
        GoldcutError: Model, images, labels, memory or folder cannot be used; the message says which.
    """
    watch = Stopwatch()
    run = Run(out)
    settings = {"labels": labels, "level": level, "seed": seed, **({"defense": defense} if defense else {})}
    if run.scan_path.exists():
        done = run.scan()
        same(run, done, target, pack)
        refuse_other_settings(run, "scan", dict(done.provenance.settings), settings)
        if measure and all(row.edge_seconds is None for row in done.cuts):
            raise RunError(
                f"{run.folder} holds a scan without --measure", "Give a new folder, or delete its scan.json."
            )
        return done
    clusters = _clusters(labels)
    run.make()
    images = pack.scanned
    graph = open_graph(target, images, defense, device=device, seed=seed)
    cuts = _price(graph, level, measure)
    classes, n_classes = _labels(graph, pack, labels, clusters, device, memory, seed, progress)
    profile = profile_cuts(
        graph,
        images,
        classes,
        cuts,
        n_classes=n_classes,
        batch_size=BATCH_SIZE,
        device=device,
        memory_bytes=memory,
        seed=seed,
        checkpoint=out / "scan.partial.safetensors",
        tally=tally,
        progress=progress,
    )
    rows = profile.rows
    accuracy = _accuracy(profile, pack)
    if defense and accuracy is not None:
        found = defended_accuracies(graph, cuts, images, device=device, progress=progress)
        rows = tuple(replace(row, accuracy=found[row.name]) for row in rows)
    names = [row.name for row in profile.rows if row.name != "output"]
    zone = locate_zone(profile)
    record = ScanRecord(
        model=target.record,
        data=images.record,
        labels=labels,
        level=level,
        accuracy=accuracy,
        defense=defense,
        cuts=rows,
        refused=graph.refused,
        zone_paper=paper_zone([row.radius_sq_paper for row in profile.rows if row.name != "output"], names),
        zone=zone,
        recommended=recommend(zone, profile.rows),
        skipped=profile.skipped,
        provenance=watch.provenance(settings=settings, seed=seed, device=device),
    )
    records.save(record, run.scan_path)
    return record


def _clusters(labels: str) -> int | None:
    """The K of "clusters:K"; None for the two other kinds of labels."""
    if labels in ("truth", "predicted"):
        return None
    found = re.fullmatch(r"clusters:(\d+)", labels)
    if not found:
        raise DataError(f"{labels!r} are no labels", "Write truth, predicted, or clusters:K such as clusters:10.")
    return int(found[1])


def _labels(
    graph: CutGraph,
    pack: Pack,
    labels: str,
    clusters: int | None,
    device: str,
    memory: int,
    seed: int,
    progress: Progress,
) -> tuple[Int[np.ndarray, " n"], int]:
    """The label of every scanned image, and the number of classes."""
    images = pack.scanned
    if labels == "truth":
        return images.labels, len(images.classes)
    if clusters is not None:
        found = cluster_labels(
            graph,
            images,
            clusters,
            seed,
            batch_size=BATCH_SIZE,
            device=device,
            memory_bytes=memory,
            progress=progress,
        )
        return found, clusters
    outputs = predict(graph, images, batch_size=BATCH_SIZE, device=device, progress=progress)
    if reason := looks_like_logits(graph.output_shape, outputs):
        raise ModelError(f"--labels predicted needs logits, but {reason}", "Use truth or clusters:K.")
    return outputs.argmax(dim=1).numpy(), graph.output_shape[0]


def _accuracy(profile: Profile, pack: Pack) -> float | None:
    """Share of scanned images whose label the model predicts; None where classes and logits do not correspond."""
    truth = pack.scanned.labels
    if profile.predicted is None or len(pack.scanned.classes) != profile.rows[-1].elements:
        return None
    return float(np.mean(profile.predicted == truth))
