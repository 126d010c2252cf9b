"""Cuts with and without a defence on one scale: accuracy, recovered by the strongest attack, payload, edge FLOPs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from goldcut.errors import RunError
from goldcut.report.folder import read_run
from goldcut.report.pareto import pareto

LOSSES = (0.0, 0.01, 0.02, 0.05, 0.1)
"""Shares of accuracy that are given up where means are compared at matched accuracy."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A cut behind a defence or without one; means over its repetitions.

    Attributes:
        group: Model, images and attacker: what is compared.
        defense: Such as "noise:0.3"; "none".
        cut: Its name.
        place: Its place among the cuts of the model.
        in_zone: Whether the default rule's zone of the undefended model has the cut.
        repetitions: Seeds that were run.
        accuracy: Of the cloud half on what is sent; None where classes and logits do not correspond.
        accuracy_undefended: Without a defence.
        recovered: By the strongest attack.
        recovered_low: Least over the repetitions; the 95 % limit where there is one.
        recovered_high: Most over the repetitions; the 95 % limit where there is one.
        attack: The strongest, in the repetition where it recovered most.
        converged: Whether the strongest attack had converged in every repetition.
        payload_bytes: Bytes of Z for one image as 32-bit floats, whatever the defence could save.
        edge_flops: FLOPs on the device for one image.
        edge_share: Their share of the whole network's.
        unbeaten: Whether no other point of the group is as good everywhere and better somewhere.
    """

    group: str
    defense: str
    cut: str
    place: int
    in_zone: bool
    repetitions: int = 1
    accuracy: float | None
    accuracy_undefended: float | None
    recovered: float
    recovered_low: float | None
    recovered_high: float | None
    attack: str
    converged: bool
    payload_bytes: int
    edge_flops: int
    edge_share: float
    unbeaten: bool = False

    @property
    def means(self) -> str:
        """What protects here: "zone alone", "defence before the zone", "defence in the zone", or "nothing"."""
        if self.in_zone:
            return "zone alone" if self.defense == "none" else "defence in the zone"
        return "nothing" if self.defense == "none" else "defence before the zone"


MEANS = ("zone alone", "defence before the zone", "defence in the zone")


@dataclass(frozen=True, kw_only=True)
class Match:
    """The point that leaks least for each means of protection, when so much accuracy may be given up.

    Attributes:
        group: What is compared.
        loss: Share of accuracy below that of the undefended model.
        best: By MEANS; None where no point keeps as much accuracy.
    """

    group: str
    loss: float
    best: tuple[Point | None, ...]


def points_of_runs(runs: Sequence[Path]) -> tuple[Point, ...]:
    """The attacked cuts of runs one by one, but the output; runs of one model on the same images are one group.

    Raises:
        RunError: A run cannot be read, or has not been attacked.
    """
    found = []
    for run in runs:
        scan, attack = read_run(run)
        if attack is None or not attack.worst:
            raise RunError(f"{run} has not been attacked", f"Run `goldcut attack {run}` first.")
        cuts = {cut.name: (place, cut) for place, cut in enumerate(scan.cuts) if cut.level != "output"}
        model = " ".join(filter(None, (scan.model.spec, scan.model.checkpoint, scan.model.weights)))
        for worst in attack.worst:
            if worst.cut in cuts:
                place, cut = cuts[worst.cut]
                found.append(
                    Point(
                        group=f"{model} ({scan.model.sha256[:8]}) on {scan.data.spec}",
                        defense=scan.defense or "none",
                        cut=worst.cut,
                        place=place,
                        in_zone=worst.cut in scan.zone.cuts,
                        accuracy=scan.accuracy if scan.defense is None else cut.accuracy,
                        accuracy_undefended=scan.accuracy,
                        recovered=worst.recovered,
                        recovered_low=worst.recovered_low,
                        recovered_high=worst.recovered_high,
                        attack=worst.attack,
                        converged=worst.converged,
                        payload_bytes=cut.payload_bytes,
                        edge_flops=cut.edge_flops,
                        edge_share=cut.edge_flops / max(1, cut.edge_flops + cut.cloud_flops),
                    )
                )
    return compare_points(found)


def compare_points(single: Sequence[Point]) -> tuple[Point, ...]:
    """Repetitions together, zones taken from the undefended model, unbeaten points marked; in order of the cuts."""
    found = _with_zone([_together(alike) for alike in _alike(single)])
    groups = list(dict.fromkeys(point.group for point in found))
    return tuple(point for group in groups for point in _marked([one for one in found if one.group == group]))


def match_accuracy(points: Sequence[Point], losses: Sequence[float] = LOSSES) -> tuple[Match, ...]:
    """For each group and loss of accuracy, what leaks least with each means of protection."""
    found = []
    for group in dict.fromkeys(point.group for point in points):
        here = [one for one in points if one.group == group and one.accuracy is not None]
        whole = [one.accuracy_undefended for one in here if one.accuracy_undefended is not None]
        for loss in losses if whole else ():
            kept = [one for one in here if (one.accuracy or 0) >= fmean(whole) - loss - 1e-9]
            best = tuple(
                min((one for one in kept if one.means == means), key=lambda one: one.recovered, default=None)
                for means in MEANS
            )
            found.append(Match(group=group, loss=loss, best=best))
    return tuple(found)


def _alike(single: Sequence[Point]) -> list[list[Point]]:
    found: dict[tuple[str, str, str], list[Point]] = {}
    for point in single:
        found.setdefault((point.group, point.defense, point.cut), []).append(point)
    return list(found.values())


def _together(alike: Sequence[Point]) -> Point:
    """The mean of repetitions, with their least and most; a single one keeps its own limits."""
    if len(alike) == 1:
        return alike[0]
    recovered = [one.recovered for one in alike]
    most = max(alike, key=lambda one: one.recovered)
    return replace(
        most,
        repetitions=len(alike),
        accuracy=_mean([one.accuracy for one in alike]),
        accuracy_undefended=_mean([one.accuracy_undefended for one in alike]),
        recovered=fmean(recovered),
        recovered_low=min(recovered),
        recovered_high=max(recovered),
        converged=all(one.converged for one in alike),
        in_zone=sum(one.in_zone for one in alike) * 2 > len(alike),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _with_zone(points: Sequence[Point]) -> list[Point]:
    """A point is in the zone where its cut is so without a defence; its own word counts where that was not run."""
    plain = {(one.group, one.cut): one.in_zone for one in points if one.defense == "none"}
    return [replace(one, in_zone=plain.get((one.group, one.cut), one.in_zone)) for one in points]


def _marked(points: Sequence[Point]) -> list[Point]:
    prices = [(one.recovered, -(one.accuracy or 0), one.payload_bytes, one.edge_flops) for one in points]
    marks = pareto(prices)
    return sorted(
        (replace(one, unbeaten=kept) for one, kept in zip(points, marks, strict=True)),
        key=lambda one: (one.place, one.defense != "none", one.defense),
    )
