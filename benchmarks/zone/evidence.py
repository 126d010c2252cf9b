"""The committed results of a target, read back: curves over its cuts and the zones that were found."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.zone.rules import Case, position
from goldcut.zone.post_hoc import post_hoc_zone


@dataclass(frozen=True)
class Statistic:
    """A candidate for a rule "the first cut from which on it stays at or below a threshold".

    Attributes:
        name: Key in the JSON of a target.
        sign: -1 where it rises with depth, so that "at or below" holds for its negative.
        labels: Whether it needs labels.
        about: What it is, in a few words.
    """

    name: str
    sign: int
    labels: bool
    about: str


SHARE = 0.6
"""Threshold of the rule that was the default before this evidence: the standardised share, over its chance level."""

SHARE_RULES = {"share": "within_share_standardised", "share_clusters": "cluster_share_standardised"}

STATISTICS = (
    Statistic("within_share_standardised", 1, True, "within-class share, channels standardised, over chance"),
    Statistic("within_share", 1, True, "within-class share, over chance"),
    Statistic("cluster_share_standardised", 1, False, "the same standardised share, labels from k-means"),
    Statistic("share_over_images", 1, True, "within-class share, standardised, over that of the images themselves"),
    Statistic("image_dependence", 1, False, "distance correlation of images and Z, as in every scan"),
    Statistic("radius_sq", 1, True, "R_c^2"),
    Statistic("radius_sq_paper", 1, False, "R_c^2 of one batch by predicted labels (the paper's)"),
    Statistic("radius_sq_per_element", 1, True, "R_c^2 / D"),
    Statistic("total_variance", 1, False, "total variance of Z"),
    Statistic("effective_rank", 1, False, "effective rank of the covariance of Z"),
    Statistic("class_information_gap", -1, True, "relative gap of the information bounds, rho 0.1"),
    Statistic("gain", 1, False, "trace of J'J, images and Z at unit variance"),
    Statistic("amplification", -1, False, "movement of the image for a typical change of Z"),
    Statistic("local_rank", 1, False, "effective rank of J'J"),
    Statistic("cka_images", 1, False, "linear CKA of images and Z, channels standardised"),
    Statistic("dcor_images", 1, False, "distance correlation of images and Z, channels standardised"),
    Statistic("cka_beyond_labels", 1, True, "cka_images above that of the labels, over what is possible above it"),
    Statistic("dcor_beyond_labels", 1, True, "dcor_images above that of the labels, over what is possible above it"),
    Statistic("elements_share", 1, False, "elements of Z over elements of the image (no look at Z)"),
    Statistic("depth", -1, False, "position among the cuts, 0 to 1 (no look at Z)"),
    Statistic("flops_share", -1, False, "share of the FLOPs on the edge (no look at Z)"),
)


@dataclass(frozen=True)
class Evidence:
    """A target's results.

    Attributes:
        content: The JSON of the target.
    """

    content: Mapping[str, Any]

    @property
    def target(self) -> str:
        return str(self.content["target"])

    @property
    def cuts(self) -> list[Mapping[str, Any]]:
        """Rows of the block-level cuts in order, the output last."""
        return list(self.content["cuts"])

    @property
    def names(self) -> list[str]:
        return [str(row["name"]) for row in self.cuts]

    def statistic(self, name: str) -> list[float] | None:
        """A curve over the cuts, a share relative to its chance level; None where it was not measured at all cuts."""
        made = [self._value(index, row, name) for index, row in enumerate(self.cuts)]
        known = [value for value in made if value is not None and math.isfinite(value)]
        return known if len(known) == len(made) else None

    def _value(self, index: int, row: Mapping[str, Any], name: str) -> float | None:
        if name == "depth":
            return index / (len(self.cuts) - 1)
        if name == "flops_share":
            return float(row["edge_flops"]) / float(self.cuts[-1]["edge_flops"])
        if name == "share_over_images":
            own = self.content["images"]
            if own is None:
                return None
            return float(row["within_share_standardised"]) / float(own["within_share_standardised"])
        if name in ("cka_beyond_labels", "dcor_beyond_labels"):
            kind = name.partition("_")[0]
            own = self.content["images"]
            if own is None or f"{kind}_images" not in row:
                return None
            told = float(own[f"{kind}_labels"])
            above: float = (float(row[f"{kind}_images"]) - told) / (1 - told)
            return above
        if name == "elements_share":
            return float(row["elements"]) / math.prod(self.content["image_shape"])
        if name == "class_information_gap":
            gap = row["information_gap"].get("0.1")
            return None if gap is None else float(gap)
        if name == "cluster_share_standardised":
            clusters = self.content["clusters"]
            return None if clusters is None else float(clusters[row["name"]]["within_share_standardised"]) / self.chance
        value = row.get(name)
        if value is None:
            return None
        return float(value) / self.chance if name.startswith("within_share") else float(value)

    @property
    def chance(self) -> float:
        """The within-class share of a Z that knows nothing of the classes, (N - C) / (N - 1)."""
        images, classes = int(self.content["scanned_images"]), int(self.content["classes"])
        return (images - classes) / (images - 1)

    def recovered(self, attacks: Collection[str] | None = None) -> list[float | None]:
        """At every cut, by the strongest of these attacks or of all; None where none was carried out."""
        made = [
            [float(one["recovered"]) for one in row["attacks"] if attacks is None or one["attack"] in attacks]
            for row in self.cuts
        ]
        return [max(values, default=None) for values in made]

    def zone_by(self, attacks: Collection[str], share: float = 0.5) -> int | None:
        """Position of the post hoc zone if there were only these attacks."""
        strongest = [
            max((one for one in row["attacks"] if one["attack"] in attacks), key=_recovered, default=None)
            for row in self.cuts
        ]
        zone = post_hoc_zone(
            [None if one is None else _recovered(one) for one in strongest],
            float(self.content["baselines"]["class_mean"]),
            [one is not None and bool(one["converged"]) for one in strongest],
            self.names,
            share,
        )
        if not zone.decided:
            return None
        return len(self.names) - 1 if zone.first is None else self.names.index(zone.first)

    def zone(self, rule: str) -> int | None:
        """Position of a zone, the output's where there is none; None where it is not decided.

        A post hoc zone that begins at a cut without a decoder is not decided either: the closed form alone is weak.
        """
        if rule in SHARE_RULES:
            curve = self.statistic(SHARE_RULES[rule])
            return None if curve is None else position(curve, SHARE)
        zone = self.content["zones"][rule]
        if zone is None or not zone["decided"]:
            return None
        place = len(self.names) - 1 if zone["first"] is None else self.names.index(zone["first"])
        weak = rule.startswith("post_hoc") and zone["first"] is not None and not self._decoded(place)
        return None if weak else place

    def _decoded(self, position: int) -> bool:
        return any(one["attack"].startswith("decoder") for one in self.cuts[position]["attacks"])

    def case(self, statistic: Statistic, rule: str = "post_hoc_half") -> Case | None:
        """A statistic's curve with the post hoc answer; None where one of them is missing."""
        curve, answer = self.statistic(statistic.name), self.zone(rule)
        if curve is None or answer is None:
            return None
        return Case(self.target, tuple(statistic.sign * value for value in curve), answer)


def _recovered(attack: Mapping[str, Any]) -> float:
    return float(attack["recovered"])


def read_evidence(folder: Path) -> tuple[list[Evidence], list[Evidence]]:
    """Targets and controls of a folder, in the order of benchmarks.zone.targets."""
    from benchmarks.zone.targets import CONTROLS, TARGETS

    def read(names: tuple[str, ...]) -> list[Evidence]:
        paths = [folder / f"{name}.json" for name in names]
        return [Evidence(json.loads(path.read_text())) for path in paths if path.exists()]

    return read(TARGETS), read(CONTROLS)
