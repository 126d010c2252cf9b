"""A row of statistics for each cut, from one pass over labelled images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from goldcut.cuts.graph import CutGraph
from goldcut.probe.budget import fit_batch
from goldcut.probe.geometry import FOLDS, Scatter, jackknife, mean_radius_sq
from goldcut.probe.information import NOISE_LEVELS, information_bound, paper_class_entropy, paper_global_entropy
from goldcut.probe.labels import looks_like_logits, predict
from goldcut.probe.reserves import check_labels, find_reserves
from goldcut.probe.resume import Bookmark, fingerprint
from goldcut.probe.sample import Sample, measure_sample
from goldcut.probe.tally import Tally, deal, tally_cuts
from goldcut.progress import Progress, silent
from goldcut.records import CutProfile, PricedCut, Refused, SampleCounts
from goldcut.sources.images import Images
from goldcut.sources.models import hash_model

PAPER_BATCH = 128
"""Images in the one batch of the paper's script."""

TallyPass = Callable[..., tuple[dict[str, Tally], Int[ndarray, " n"]]]
"""What `tally_cuts` is, by its arguments and its answer."""


@dataclass(frozen=True)
class Profile:
    """The statistics of every cut, and what the zone rules need to know how sure they are.

    Attributes:
        rows: One for each cut, in the order of the network.
        folds: Name of a statistic -> its curve over the cuts, one row for each jackknife fold left out.
        predicted: The class that the model predicts for each image; None when its output is no logits.
        skipped: What was not measured, or only with reserve, and why.
    """

    rows: tuple[CutProfile, ...]
    folds: Mapping[str, Float[ndarray, "folds cuts"]] = field(default_factory=dict)
    predicted: Int[ndarray, " n"] | None = None
    skipped: tuple[Refused, ...] = ()


def profile_cuts(
    graph: CutGraph,
    images: Images,
    labels: ndarray,
    cuts: Sequence[PricedCut],
    *,
    n_classes: int,
    batch_size: int = 128,
    device: str = "cpu",
    memory_bytes: int = 2**32,
    seed: int = 0,
    checkpoint: Path | None = None,
    tally: TallyPass = tally_cuts,
    progress: Progress = silent,
) -> Profile:
    """Measure Z at every cut.

    The images are read once, sorted by class, so the state is O(elements) a cut for any number of
    classes; then at most 1,000 of them once more, or a few times, for the effective rank.

    Args:
        graph: The traced model, already on `device`.
        images: The scanned images.
        labels: Class of each image.
        cuts: The cuts to measure, in the order of the network.
        n_classes: Number of classes.
        batch_size: Most images at a time; fewer are used when memory asks for it.
        device: Where the model is.
        memory_bytes: Most bytes for the state and a batch.
        seed: Deals the images into folds, draws those of the effective rank and of the paper's batch.
        checkpoint: File that an interrupted call leaves and the next one goes on from.
        tally: Carries out the pass over all images, like `tally_cuts`; others may share it out.
        progress: Told how far it is, after each batch.

    Raises:
        DataError: The labels cannot be used.
        ModelError: A Z is not finite; names the first such cut.
        BudgetError: The state does not fit the memory.
    """
    check_labels(labels, len(images), n_classes)
    batch_size = fit_batch(graph, cuts, batch_size, memory_bytes)
    bookmark = None
    if checkpoint is not None:
        settings = [graph.module.code, [cut.name for cut in cuts], n_classes, seed, FOLDS]
        key = fingerprint(hash_model(graph.module), images.record.sha256, labels.astype("<i8").tobytes(), settings)
        bookmark = Bookmark(checkpoint, key)
    radii_paper, no_logits = _paper_radii(graph, images, cuts, batch_size, device, seed)
    tallies, predicted = tally(
        graph,
        images,
        cuts,
        deal(labels, n_classes, FOLDS, seed),
        batch_size=batch_size,
        device=device,
        bookmark=bookmark,
        progress=progress,
    )
    scatters = {name: tally.scatter() for name, tally in tallies.items()}
    del tallies
    sample = measure_sample(
        graph,
        images,
        cuts,
        batch_size=batch_size,
        device=device,
        memory_bytes=memory_bytes,
        seed=seed,
        progress=progress,
    )
    if bookmark:
        bookmark.remove()
    rows = tuple(_row(cut, scatters[cut.name], sample, radii_paper.get(cut.name)) for cut in cuts)
    return Profile(
        rows=rows,
        folds=_fold_curves([scatters[cut.name] for cut in cuts]) | _dependence_curves(cuts, sample),
        predicted=None if no_logits else predicted,
        skipped=(*no_logits, *find_reserves(rows, scatters, sample, labels, n_classes)),
    )


def _paper_radii(
    graph: CutGraph, images: Images, cuts: Sequence[PricedCut], batch_size: int, device: str, seed: int
) -> tuple[dict[str, float], tuple[Refused, ...]]:
    """R_c^2 as the paper's script has it: one batch, predicted labels, singletons counted as radius 0."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:PAPER_BATCH])
    batch = images.subset(chosen, images.part)
    outputs = predict(graph, batch, batch_size=batch_size, device=device)
    reason = looks_like_logits(graph.output_shape, outputs)
    if reason is not None:
        return {}, (Refused(name="radius_sq_paper", reason=f"needs predicted labels, and {reason}"),)
    plan = deal(outputs.argmax(1).numpy(), outputs.shape[1], n_folds=1, seed=seed)
    tallies, _ = tally_cuts(graph, batch, cuts, plan, batch_size=batch_size, device=device)
    radii = {
        name: mean_radius_sq(tally.class_count[:1], tally.class_within[:1], fewest=1).item()
        for name, tally in tallies.items()
    }
    return radii, ()


def _row(cut: PricedCut, scatter: Scatter, sample: Sample, radius_sq_paper: float | None) -> CutProfile:
    radius_sq = jackknife(scatter.radius_sq())
    variance = jackknife(scatter.total_variance())
    share = jackknife(scatter.within_share(), highest=1)
    standardised = jackknife(scatter.within_share_standardised(), highest=1)
    seen = sample.dependence[cut.name]
    dependence = None if seen is None else jackknife(torch.from_numpy(seen), highest=1)
    count = scatter.class_count[0].numpy()
    radii = scatter.class_within[0].numpy() / count.clip(min=1)
    shares = count / count.sum()
    present = count[count > 0]
    return CutProfile(
        **{each.name: getattr(cut, each.name) for each in fields(PricedCut)},
        radius_sq=radius_sq.value,
        radius_sq_low=radius_sq.low,
        radius_sq_high=radius_sq.high,
        total_variance=variance.value,
        total_variance_low=variance.low,
        total_variance_high=variance.high,
        within_share=share.value,
        within_share_low=share.low,
        within_share_high=share.high,
        within_share_standardised=standardised.value,
        within_share_standardised_low=standardised.low,
        within_share_standardised_high=standardised.high,
        radius_sq_per_element=radius_sq.value / cut.elements,
        radius_sq_paper=radius_sq_paper,
        effective_rank=sample.ranks[cut.name],
        effective_rank_images=sample.images,
        image_dependence=None if dependence is None else dependence.value,
        image_dependence_low=None if dependence is None else dependence.low,
        image_dependence_high=None if dependence is None else dependence.high,
        image_dependence_images=sample.compared,
        entropy_global_paper=paper_global_entropy(variance.value, cut.elements) if scatter.varies else None,
        entropy_class_paper=paper_class_entropy(radii, shares, cut.elements) if scatter.varies else None,
        information=tuple(
            information_bound(variance.value, radii, shares, cut.elements, rho)
            for rho in NOISE_LEVELS
            if scatter.varies
        ),
        samples_per_class=SampleCounts(
            classes=len(present), fewest=int(present.min()), median=float(np.median(present)), most=int(present.max())
        ),
    )


def _fold_curves(scatters: Sequence[Scatter]) -> dict[str, Float[ndarray, "folds cuts"]]:
    def curves(of: str) -> Float[ndarray, "folds cuts"]:
        return np.asarray(torch.stack([getattr(scatter, of)()[1:] for scatter in scatters], dim=1).numpy())

    names = ("radius_sq", "total_variance", "within_share", "within_share_standardised")
    return {name: curves(name) for name in names}


def _dependence_curves(cuts: Sequence[PricedCut], sample: Sample) -> dict[str, Float[ndarray, "folds cuts"]]:
    """The curve of each fold; none where Z does not vary at some cut."""
    found = [sample.dependence[cut.name] for cut in cuts]
    known = [each[1:] for each in found if each is not None]
    return {"image_dependence": np.stack(known, axis=1)} if len(known) == len(found) else {}
