"""What the attacks found, as plain values, with pictures for the report."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from goldcut.records import AttackResult, Baselines, Failure, Inferred, Worst, write_atomically

Pictures = UInt8[np.ndarray, "k h w c"]


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
    stochastic: bool
    queries: int
    complete: bool


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
