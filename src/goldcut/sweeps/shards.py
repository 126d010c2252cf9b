"""The scan of a data set in parts: each is tallied by a process or a Ray task, and the tallies are joined in order.

Parts begin and end where batches do, so the model sees the batches that one process would show it, and every sum is of
the same numbers; only the order in which float64 moments merge differs. What rests on a sample of images, and labels
that have to be made first, are computed by the command itself, from the same images as ever.
"""

import shutil
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from goldcut.cluster import check_cluster
from goldcut.cuts.graph import CutGraph
from goldcut.cuts.taps import read_cuts
from goldcut.errors import SweepError
from goldcut.probe.resume import Bookmark, fingerprint
from goldcut.probe.tally import Plan, Tally, state_of, tally_cuts
from goldcut.progress import Progress, silent
from goldcut.records import Cut, ScanRecord
from goldcut.sources.images import Images
from goldcut.study.defended import open_graph
from goldcut.study.scan import scan
from goldcut.sweeps.checks import open_source
from goldcut.sweeps.executors import Executor
from goldcut.sweeps.progression import BEAT
from goldcut.sweeps.store import MOST_LOSSES
from goldcut.sweeps.sweep import make_executor
from goldcut.sweeps.trials import ModelSource

STATE = "tally.safetensors"
PLAN = "plan.npz"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Images of a plan that one worker reads.

    Attributes:
        model: What is scanned.
        data: Its images.
        defense: What is done to Z.
        device: Where the model runs.
        seed: Of the defence.
        cuts: Names of the cuts.
        classes: Number of classes.
        n_folds: Number of folds.
        start: Place in the order of the first image.
        stop: Place behind the last.
        batch_size: Images at a time.
        key: Fingerprint of all that its tally depends on.
        sha256: Of the weights and of the images.
    """

    model: ModelSource
    data: str
    defense: str | None
    device: str
    seed: int
    cuts: tuple[str, ...]
    classes: int
    n_folds: int
    start: int
    stop: int
    batch_size: int
    key: str
    sha256: tuple[str, str]


def scan_in_shards(
    model: ModelSource,
    data: str,
    *,
    out: Path,
    shards: int | None = None,
    cluster: str | None = None,
    defense: str | None = None,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress = silent,
    **flags: Any,
) -> ScanRecord:
    """Scan into a run folder like `goldcut.study.scan.scan`, the pass over all images shared out.

    Args:
        model: What is scanned.
        data: Its images, as the command line names them.
        out: The run folder. What an interrupted call has finished of the parts stays in it.
        shards: Number of parts; as many as the cluster takes at once when None.
        cluster: Address of a Ray cluster; processes of this machine do the work when None.
        defense: What is done to Z; it must not draw anything.
        device: Where the model runs.
        seed: As of a scan.
        progress: Told how far the work is.
        flags: The other arguments of a scan.

    Raises:
        GoldcutError: As a scan, or a worker could not do its part.
    """
    if cluster is not None:
        check_cluster(cluster)
    target, pack = open_source(model, data)
    folder = out / "shards"
    sha256 = (target.record.sha256, pack.scanned.record.sha256)
    shard = partial(Shard, model=model, data=data, defense=defense, device=device, seed=seed, sha256=sha256)

    def tally(
        graph: CutGraph,
        images: Images,
        cuts: Sequence[Cut],
        plan: Plan,
        *,
        batch_size: int,
        device: str,
        bookmark: Bookmark | None,
        progress: Progress,
    ) -> tuple[dict[str, Tally], Int[np.ndarray, " n"]]:
        _refuse_drawing(graph, images, tuple(cut.name for cut in cuts), device)
        folder.mkdir(parents=True, exist_ok=True)
        executor = make_executor(_tally_shard, folder, workers=shards, cluster=cluster, device=device)
        np.savez(folder / PLAN, order=plan.order, labels=plan.labels, folds=plan.folds)
        parts = [
            shard(
                cuts=tuple(cut.name for cut in cuts),
                classes=plan.n_classes,
                n_folds=plan.n_folds,
                start=start,
                stop=stop,
                batch_size=batch_size,
                key=fingerprint(bookmark.key if bookmark else "", defense, start, stop, batch_size),
            )
            for start, stop in split(len(plan), batch_size, shards or executor.capacity)
        ]
        carry_out(executor, parts, folder, progress=progress)
        return _join(parts, cuts, plan, folder, device)

    record = scan(
        target, pack, out=out, defense=defense, device=device, seed=seed, tally=tally, progress=progress, **flags
    )
    shutil.rmtree(folder, ignore_errors=True)
    return record


def split(images: int, batch_size: int, shards: int) -> list[tuple[int, int]]:
    """Parts of about as many batches each, none of them empty.

    Example:
        >>> split(1000, 128, 3), split(100, 128, 3)
        ([(0, 256), (256, 640), (640, 1000)], [(0, 100)])
    """
    batches = -(-images // batch_size)
    many = min(shards, batches)
    edges = [min(batch_size * (turn * batches // many), images) for turn in range(many + 1)]
    return list(pairwise(edges))


def carry_out(executor: Executor, shards: Sequence[Shard], folder: Path, *, progress: Progress = silent) -> None:
    """Have every shard tallied into a folder of its own; one whose worker dies is tried once more.

    Raises:
        SweepError: A shard cannot be tallied; the others are not waited for.
    """
    waiting, running = deque(shards), dict[str, Shard]()
    losses, images = Counter[str](), 0
    try:
        while waiting or running:
            while waiting and len(running) < executor.capacity:
                shard = waiting.popleft()
                running[str(shard.start)] = shard
                executor.start(str(shard.start), shard, folder / str(shard.start))
            for outcome in executor.wait(BEAT):
                shard = running.pop(outcome.id)
                losses[outcome.id] += outcome.lost is not None
                if outcome.error:
                    raise SweepError(outcome.error)
                if losses[outcome.id] >= MOST_LOSSES:
                    raise SweepError(f"images {shard.start} to {shard.stop} were lost twice: {outcome.lost}")
                if outcome.lost:
                    waiting.append(shard)
                else:
                    images += shard.stop - shard.start
                    progress("scan", images, shards[-1].stop)
    finally:
        executor.close()


def _tally_shard(shard: Shard, folder: Path) -> list[dict[str, Any]]:
    """Tally a shard into a file; nothing is done twice."""
    target, pack = open_source(shard.model, shard.data)
    if (target.record.sha256, pack.scanned.record.sha256) != shard.sha256:
        raise SweepError(
            f"{shard.model} or {shard.data} is not what the command has read", "Give all machines the same files."
        )
    graph = open_graph(target, pack.scanned, shard.defense, device=shard.device, seed=shard.seed)
    cuts = [graph.cut(name) for name in shard.cuts]
    with np.load(folder.parent / PLAN) as kept:
        plan = Plan(kept["order"], kept["labels"], kept["folds"], shard.classes, shard.n_folds)
    bookmark = Bookmark(folder / STATE, shard.key)
    tallies, largest = tally_cuts(
        graph,
        pack.scanned,
        cuts,
        plan,
        batch_size=shard.batch_size,
        device=shard.device,
        bookmark=bookmark,
        span=(shard.start, shard.stop),
    )
    bookmark.keep(state_of(tallies, torch.from_numpy(largest)), shard.stop)
    return []


def _join(
    shards: Sequence[Shard], cuts: Sequence[Cut], plan: Plan, folder: Path, device: str
) -> tuple[dict[str, Tally], Int[np.ndarray, " n"]]:
    """The tallies of all images from those of the parts."""
    joined = {cut.name: Tally(cut, plan, device) for cut in cuts}
    largest = torch.zeros(len(plan), dtype=torch.long)
    for shard in shards:
        part = {cut.name: Tally(cut, plan, device, shard.start) for cut in cuts}
        predicted = torch.zeros_like(largest)
        if Bookmark(folder / str(shard.start) / STATE, shard.key).restore(state_of(part, predicted)) != shard.stop:
            raise SweepError(
                f"what a worker made of images {shard.start} to {shard.stop} is not in {folder}",
                "Give a folder that all machines share.",
            )
        index = torch.from_numpy(plan.order[shard.start : shard.stop])
        largest[index] = predicted[index]
        ended = plan.carried(shard.stop) != plan.carried(shard.start)
        for name, tally in joined.items():
            tally.join(part.pop(name), ended)
    return joined, largest.numpy()


def _refuse_drawing(graph: CutGraph, images: Images, names: Sequence[str], device: str) -> None:
    """Refuse a model or a defence that draws: each part would draw the same noise again.

    Raises:
        SweepError: Z of the same images is not the same twice.
    """
    batch = images.batch(np.arange(min(2, len(images)))).to(device)
    once: dict[str, Tensor] = {}
    again: dict[str, Tensor] = {}
    for seen in (once, again):

        def keep(name: str, z: Tensor, seen: dict[str, Tensor] = seen) -> None:
            seen[name] = z.clone()

        read_cuts(graph, batch, names, keep)
    for name in names:
        if not torch.equal(once[name], again[name]):
            raise SweepError(
                f"Z at {name} is drawn anew whenever an image passes, in the order in which one process reads them",
                "Scan without --shards and --cluster.",
            )
