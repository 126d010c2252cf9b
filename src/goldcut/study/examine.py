"""The whole path in one call, for a live model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from goldcut.attacks.base import Attack
from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.progress import Progress, silent
from goldcut.records import AttackRecord, Knowledge, ScanRecord
from goldcut.sources.images import Images, Pack
from goldcut.sources.models import adopt_model
from goldcut.study.attack import attack
from goldcut.study.scan import MEMORY_BYTES, scan


@dataclass(frozen=True)
class Study:
    """What an examination found.

    Attributes:
        folder: The run folder; `goldcut.write_report(folder)` makes its page.
        graph: The traced model, for `goldcut.split_at`.
        scan: Every cut, its price and statistics, and the zones from statistics.
        attack: What a real attacker recovered.
    """

    folder: Path
    graph: CutGraph
    scan: ScanRecord
    attack: AttackRecord


def examine(
    model: nn.Module,
    images: Pack | Images,
    *,
    out: Path | str,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    labels: str = "truth",
    level: str = "block",
    cuts: str = "all",
    attacks: str | Sequence[Attack] = "standard",
    effort: str = "standard",
    knowledge: Knowledge = "weights",
    aux_size: Sequence[int] = (),
    queries: Sequence[int] = (1,),
    aux_seen: str = "unknown",
    victims: int = 1000,
    device: str = "cpu",
    memory: int = MEMORY_BYTES,
    seed: int = 0,
    progress: Progress = silent,
) -> Study:
    """Scan and attack a live model.

    Args:
        model: Takes images in [0, 1] (normalised by `mean` and `std` where given); left as it was.
        images: From load_images or from_arrays.
        out: The run folder; an interrupted call goes on from it.
        mean: Per-channel mean subtracted before the model.
        std: Per-channel divisor.
        labels: "truth", "predicted" or "clusters:K".
        level: "block", "group" or "all".
        cuts: "all", "zone", or names separated by commas.
        attacks: A set ("standard"), names separated by commas, or Attack objects.
        effort: "small", "standard" or "large".
        knowledge: What the attacker knows of the edge half: "weights", "queries", "architecture" or "none".
        aux_size: Numbers of images with which the attacks are repeated.
        queries: How often each image passes an edge that adds noise.
        aux_seen: "yes", "no" or "unknown": whether the model was trained on the attacker's images.
        victims: Images that are reconstructed and scored.
        device: Where the model and the attacks run.
        memory: Most bytes for statistics or features.
        seed: Of everything that is drawn.
        progress: Told how far the work is.

    Raises:
        GoldcutError: Something cannot be used; the message says what, why and what to do.
    """
    pack = images if isinstance(images, Pack) else Pack(scanned=images, attacker=None)
    target = adopt_model(model, pack.scanned.shape, mean=mean, std=std)
    folder = Path(out)
    scanned = scan(
        target,
        pack,
        out=folder,
        labels=labels,
        level=level,
        device=device,
        memory=memory,
        seed=seed,
        progress=progress,
    )
    attacked = attack(
        target,
        pack,
        out=folder,
        cuts=cuts,
        attacks=attacks,
        effort=effort,
        knowledge=knowledge,
        aux_size=aux_size,
        queries=queries,
        aux_seen=aux_seen,
        victims=victims,
        device=device,
        memory=memory,
        seed=seed,
        progress=progress,
    )
    return Study(folder, find_cuts(target.model, target.input_shape), scanned, attacked)
