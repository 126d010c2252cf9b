"""A promise at a cut: how much noise keeps it, what that costs in accuracy, and what the best attacker reaches."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from goldcut import records
from goldcut.attacks.suite import choose_attacks
from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.cuts.taps import read_cuts
from goldcut.errors import BudgetError, DataError
from goldcut.probe.promise import (
    FAILURE,
    bits,
    bits_for,
    clip_norm,
    entropy_of,
    find_basis,
    find_sigma,
    measure_spread,
    odds,
)
from goldcut.progress import Progress, silent
from goldcut.records import Cut, PromiseRecord
from goldcut.sources.images import Images, Pack
from goldcut.study.adapt import adapt_cloud
from goldcut.study.attack import VICTIMS, divide_parts
from goldcut.study.neighbours import fisher_leakage
from goldcut.study.price import accuracy_of, attack_sent, cloud_at, galleries
from goldcut.study.provenance import Stopwatch
from goldcut.study.run import Run, reopen
from goldcut.study.scan import BATCH_SIZE, MEMORY_BYTES

CLIP_QUANTILE = 0.99
"""Share of the images whose Z is not clipped."""

LEAST = 200
"""Images of a half below which its limits say next to nothing."""

ASSUMPTIONS = (
    "The input is drawn like the images of the audit; the promise is an average over them, not a word on an outlier or"
    " on a gallery that somebody chose.",
    "The device clips Z and adds the noise itself, with fresh Gaussian noise for each release, from a source that an"
    " attacker cannot predict.",
    "The attacker sees these releases and nothing else of the input, but may know everything about the network.",
    "The gallery odds are for images of one class: the class itself may be known.",
)


@dataclass(frozen=True, eq=False)
class _Half:
    """Half of the images: Z as it is, flattened, and their classes."""

    z: Float[Tensor, "n d"]
    labels: Int[Tensor, " n"]


def promise(
    folder: Path,
    cut: str,
    *,
    most_bits: float | None = None,
    gallery: int = 1000,
    most_odds: float = 0.2,
    releases: int = 1,
    attacks: str | None = "standard",
    effort: str = "small",
    adapt: bool = False,
    device: str = "cpu",
    memory: int = MEMORY_BYTES,
    seed: int = 0,
    progress: Progress = silent,
) -> PromiseRecord:
    """Find the least noise that keeps a promise at a cut of a scanned run, and write RUN/promise.json.

    Args:
        folder: Of the run.
        cut: Name or alias.
        most_bits: Most bits that Z + N may tell of the input. Without it the promise is about a gallery.
        gallery: Images of one class among which an attacker is to pick the one that was sent.
        most_odds: How often it may be right at most, above 1 / gallery.
        releases: How often the same input is sent.
        attacks: What is tried in spite of the promise: a set or names; None for nothing.
        effort: Of the attacks.
        adapt: Whether to train the cloud half on noisy Z and to write RUN/adapted.safetensors: on the training part of
            the data, or where there is none on the half of the images that gives no limits and no accuracy.
        device: Where the model runs.
        memory: Most bytes for Z.
        seed: Divides the images into halves, and of the noise.
        progress: Told the images.

    Raises:
        GoldcutError: The run or its sources cannot be used, there is no such cut, or too few images.
    """
    watch = Stopwatch()
    run = Run(folder)
    _check(most_bits, gallery, most_odds, releases)
    suite = choose_attacks(attacks, effort) if attacks else ()
    scan, target, pack = reopen(run)
    if scan.defense is not None:
        raise DataError(f"{folder} is a run with {scan.defense}", "A promise brings its own noise: scan without one.")
    graph = find_cuts(target.model.to(device), target.input_shape)
    place = graph.cut(cut)
    images = pack.scanned
    n_classes = len(images.classes)
    comparable = n_classes == graph.cuts[-1].elements
    if adapt and not (comparable and place.level != "output"):
        raise DataError(
            f"the cloud half at {place.name} has nothing to learn from: it must end in a logit for each class",
            "Leave --adapt out, or choose a cut before the output.",
        )
    first, second = _read_halves(graph, place, images, device, memory, seed, progress)
    norm = float(torch.linalg.vector_norm(first.z, dim=1).quantile(CLIP_QUANTILE))
    basis = find_basis(clip_norm(first.z, norm), first.labels, n_classes)
    clipped = clip_norm(second.z, norm)
    whole = measure_spread(clipped, basis.centres[0], basis.whole, norm)
    within = measure_spread(clipped, basis.centres[1 + second.labels], basis.within, norm)
    if most_bits is None:
        sigma = find_sigma([within], bits_for(most_odds, gallery), releases)
        picked = f"the right one of {gallery:,} images of its class at most {100 * most_odds:g} % of the time"
        asked = f"an attacker picks {picked}"
    else:
        sigma = find_sigma([whole], most_bits, releases)
        asked = f"what is sent tells at most {most_bits:g} bits of the input"
    known = bits(whole, sigma, releases)
    noise = torch.Generator().manual_seed(seed)
    accuracy: dict[str, float] = {}
    adapted = None
    if comparable:
        noisy = clipped + sigma * torch.randn(clipped.shape, generator=noise)
        cloud = cloud_at(graph, place)
        sent = {"as it is": second.z, "clipped": clipped, "noisy": noisy}
        accuracy = {name: accuracy_of(cloud, place, one, second.labels, device) for name, one in sent.items()}
    if adapt:
        own = _training_half(graph, place, pack, first, device, memory, seed, progress)
        learned = clip_norm(own.z, norm), own.labels
        adapted = adapt_cloud(target, place, *learned, sigma, device=device, seed=seed, progress=progress)
        adapted.save(run.adapted_path)
        accuracy["adapted"] = accuracy_of(adapted.cloud, place, noisy, second.labels, device)
    results = attack_sent(
        graph,
        place,
        divide_parts(target, pack, None, VICTIMS, seed),
        suite,
        norm=norm,
        sigma=sigma,
        releases=releases,
        logits=comparable,
        folder=run.folder / "promise",
        memory=memory,
        device=device,
        seed=seed,
        run=run.scan_sha256(),
        progress=progress,
    )
    record = PromiseRecord(
        scan_sha256=run.scan_sha256(),
        cut=place.name,
        elements=place.elements,
        releases=releases,
        clip_norm=norm,
        sigma=sigma,
        sigma_relative=sigma / float((clipped - clipped.mean(0)).square().mean().sqrt()),
        bits=known,
        bits_within=bits(within, sigma, releases),
        failure=2 * FAILURE,
        images=len(clipped),
        asked=asked,
        galleries=galleries(clipped, second.labels, within, sigma, releases, gallery, noise),
        accuracy=accuracy.get("as it is"),
        accuracy_clipped=accuracy.get("clipped"),
        accuracy_noisy=accuracy.get("noisy"),
        accuracy_adapted=accuracy.get("adapted"),
        adapted_on=adapted.images if adapted else 0,
        accuracy_most=odds(known, n_classes, entropy=entropy_of(second.labels)),
        results=results,
        assumptions=ASSUMPTIONS,
        fisher=fisher_leakage(graph, place, images, norm, sigma / releases**0.5, device=device, seed=seed),
        provenance=watch.provenance(
            settings={
                "cut": place.name,
                "bits": most_bits,
                "gallery": gallery,
                "odds": most_odds,
                "releases": releases,
                "adapt": adapt,
            },
            seed=seed,
            device=device,
        ),
    )
    records.save(record, run.promise_path)
    return record


def _check(most_bits: float | None, gallery: int, most_odds: float, releases: int) -> None:
    """Refuse what cannot be kept."""
    if most_bits is not None and not most_bits > 0:
        raise DataError(f"{most_bits:g} bits cannot be promised of anything that is sent", "Ask for more than 0.")
    if gallery < 3:
        raise DataError(f"a gallery of {gallery} is no choice", "Ask for at least 3 images.")
    if not 1 / gallery < most_odds < 1:
        raise DataError(
            f"odds of {most_odds:g} are out of range: chance alone is right in {1 / gallery:.2g} of the cases",
            "Ask for more than that and less than 1.",
        )
    if releases < 1:
        raise DataError(f"{releases} releases are none", "Ask for at least 1.")


def _read_halves(
    graph: CutGraph, cut: Cut, images: Images, device: str, memory: int, seed: int, progress: Progress
) -> tuple[_Half, _Half]:
    """Z of all images at the cut, in two halves that have no image in common."""
    _, unique = np.unique(images.hashes(), return_index=True)
    order = np.random.default_rng(seed).permutation(unique)
    if len(order) < 2 * LEAST:
        raise DataError(f"a promise needs at least {2 * LEAST} different images; these are {len(order)}", "Scan more.")
    z, labels = _read(graph, cut, images, order, device, memory, progress), torch.from_numpy(images.labels[order])
    middle = len(order) // 2
    return _Half(z[:middle], labels[:middle]), _Half(z[middle:], labels[middle:])


def _training_half(
    graph: CutGraph, cut: Cut, pack: Pack, first: _Half, device: str, memory: int, seed: int, progress: Progress
) -> _Half:
    """Z of the training part, without images that are scanned too; the first half where there is no such part."""
    images = pack.attacker
    if images is None or images.classes != pack.scanned.classes:
        return first
    apart = np.flatnonzero(~np.isin(images.hashes(), pack.scanned.hashes()))
    order = np.random.default_rng(seed).permutation(apart)[: max(1, memory // (16 * cut.elements))]
    if len(order) < LEAST:
        return first
    z = _read(graph, cut, images, order, device, memory, progress)
    return _Half(z, torch.from_numpy(images.labels[order]))


def _read(
    graph: CutGraph,
    cut: Cut,
    images: Images,
    order: Int[np.ndarray, " n"],
    device: str,
    memory: int,
    progress: Progress,
) -> Float[Tensor, "n d"]:
    """Z of some images at the cut, flattened."""
    needed = 4 * cut.elements * len(order) * 4
    if needed > memory:
        raise BudgetError(
            f"Z of {len(order)} images at {cut.name} and the work on it take {needed / 2**30:.1f} GiB",
            "Raise --memory, or scan fewer images.",
        )
    z = torch.empty(len(order), cut.elements)
    for start in range(0, len(order), BATCH_SIZE):
        part = slice(start, min(start + BATCH_SIZE, len(order)))

        def keep(_: str, value: Tensor, part: slice = part) -> None:
            z[part] = value.flatten(1).float().cpu()

        read_cuts(graph, images.batch(order[part]).to(device), [cut.name], keep)
        progress(f"Z at {cut.name}", part.stop, len(order))
    return z
