"""What the attacks found, as plain values, with pictures for the report."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from goldcut.errors import RunError
from goldcut.records import (
    AttackResult,
    Baselines,
    Failure,
    Inferred,
    Knowledge,
    ViewRecord,
    Worst,
    write_atomically,
)
from goldcut.sources.images import Images, Parts

Pictures = UInt8[np.ndarray, "k h w c"]
PICTURES = "pictures"
"""Name of the pictures among the arrays that are kept with a result."""

GALLERY = 16
"""Victims whose reconstructions are kept as pictures."""


@dataclass(frozen=True, eq=False)
class Leakage:
    """Baselines, results and failures of the attacks at the cuts.

    Attributes:
        baselines: What is had without an attack.
        results: In the order of the cuts, then of the attacks.
        failures: Attacks that could not be carried out, in the same order.
        inferred: What Z says without pixels.
        worst: Per cut, where any attack ended.
        cuts: Names of the cuts that were to be attacked, in order.
        image_shape: (C, H, W) at which the attacks work and are scored.
        ceiling_recovered: `recovered` of the victims' own low-pass at full size; None where attacks work at it.
        ssim_window: Window of the structural similarity in pixels.
        victims: (k, H, W, C) the first victims, for the gallery.
        labels: (k,) their true labels.
        pictures: Reconstructions of the same victims by (cut, attack).
        figures: By (cut, attack), the figures of each victim by name, each (n,); NaN where there is none.
        stochastic: Whether the edge answers the same image differently each time.
        queries: Passes of each image, whose Z are averaged.
        complete: False while work of the plan is missing.
    """

    baselines: Baselines
    results: tuple[AttackResult, ...]
    failures: tuple[Failure, ...]
    inferred: tuple[Inferred, ...]
    worst: tuple[Worst, ...]
    cuts: tuple[str, ...]
    image_shape: tuple[int, int, int]
    ceiling_recovered: float | None
    ssim_window: int
    victims: Pictures
    labels: Int[np.ndarray, " k"]
    pictures: Mapping[tuple[str, str], Pictures]
    figures: Mapping[tuple[str, str], Mapping[str, Float[np.ndarray, " n"]]]
    stochastic: bool
    queries: int
    complete: bool

    def view(self, parts: Parts, *, knowledge: Knowledge, auxiliary: str, aux_seen: str) -> ViewRecord:
        """What the attacker was granted, for the record.

        Args:
            parts: The images.
            knowledge: What it knows of the edge.
            auxiliary: Where its images come from.
            aux_seen: "yes", "no" or "unknown": whether the target was trained on them.
        """
        return ViewRecord(
            knowledge=knowledge,
            auxiliary=auxiliary,
            auxiliary_same_data=parts.auxiliary_same_data,
            target_trained_on_auxiliary=aux_seen,
            training_images=len(parts.training),
            selection_images=len(parts.selection),
            victims=len(parts.victims),
            duplicates_removed=parts.duplicates_removed,
            reconstruction_shape=self.image_shape,
            ceiling_recovered=self.ceiling_recovered,
            ssim_window=self.ssim_window,
            stochastic=self.stochastic,
            queries=self.queries,
        )


def find_worst(cuts: Sequence[str], results: Sequence[AttackResult]) -> tuple[Worst, ...]:
    """Per cut the attack with the highest `recovered`; cuts without a result are left out."""
    worst = []
    for cut in cuts:
        here = [result for result in results if result.cut == cut]
        if here:
            most = max(here, key=lambda result: result.recovered)
            worst.append(
                Worst(
                    cut=cut,
                    attack=most.attack,
                    recovered=most.recovered,
                    recovered_low=most.recovered_low,
                    recovered_high=most.recovered_high,
                    converged=most.converged,
                )
            )
    return tuple(worst)


def write_gallery(leakage: Leakage, path: Path) -> None:
    """Write victims and the reconstructions of the worst attack at each cut, whole or not at all.

    Arrays: victims (k, H, W, C) uint8, labels (k,), recon__<index of the cut> (k, H, W, C) uint8 for each
    attacked cut, names (the cut of each index) and attacks (its worst attack; "" where none ended).

    Raises:
        RunError: The file cannot be written.
    """
    worst = {one.cut: one.attack for one in leakage.worst}
    arrays: dict[str, Any] = {
        "victims": leakage.victims,
        "labels": leakage.labels,
        "names": np.array(leakage.cuts),
        "attacks": np.array([worst.get(cut, "") for cut in leakage.cuts]),
    }
    for index, cut in enumerate(leakage.cuts):
        if cut in worst:
            arrays[f"recon__{index}"] = leakage.pictures[cut, worst[cut]]
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    write_atomically(path, packed.getvalue())


def write_figures(leakage: Leakage, victims: Images, path: Path) -> None:
    """Write the figures of each victim as a Parquet table, one row for each cut, attack and victim.

    Columns: cut, attack, victim (its place), sha256 (the first 32 hexadecimal digits of the hash of its pixels), label,
    mse, psnr in dB, cosine, ssim, identification, and what witnesses said. Rows of cuts and attacks that
    are not in this leakage stay.

    Raises:
        RunError: The file cannot be written, or what is there is damaged.
    """
    import pyarrow
    import pyarrow.parquet

    hashes = [one.decode() for one in victims.hashes()]
    tables = []
    for (cut, attack), figures in leakage.figures.items():
        count = len(figures["mse"])
        columns = {"cut": [cut] * count, "attack": [attack] * count, "victim": np.arange(count, dtype=np.int32)}
        columns |= {"sha256": hashes[:count], "label": victims.labels[:count].astype(np.int32)}
        columns |= {name: values.astype(np.float32) for name, values in figures.items()}
        tables.append(pyarrow.table(columns))
    if path.exists():
        try:
            # Given a path, pyarrow opens it twice, and another process may have replaced it in between.
            kept = pyarrow.parquet.read_table(pyarrow.BufferReader(path.read_bytes()))
            pairs = zip(kept["cut"].to_pylist(), kept["attack"].to_pylist(), strict=True)
        except (OSError, pyarrow.ArrowException, KeyError) as error:
            raise RunError(
                f"{path} is damaged: {error}", "Delete it; the figures of finished attacks go with it."
            ) from error
        tables.insert(0, kept.filter(pyarrow.array([pair not in leakage.figures for pair in pairs], pyarrow.bool_())))
    if tables:
        packed = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.concat_tables(tables, promote_options="default"), packed)
        write_atomically(path, packed.getvalue())


def as_pictures(images: Float[Tensor, "n c h w"]) -> Pictures:
    """The first GALLERY images in [0, 1], as people look at them."""
    few = images[:GALLERY].permute(0, 2, 3, 1)
    return np.ascontiguousarray((few * 255).round().to(torch.uint8).numpy())
