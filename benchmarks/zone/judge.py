"""Judge the zone rules on the committed results and write the tables: python -m benchmarks.zone.judge docs/results/zone

Regenerates README.md in that folder from TARGET.json alone; nothing is computed anew.
"""

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.zone.evidence import STATISTICS, Evidence, Statistic, read_evidence
from benchmarks.zone.rules import Case, Verdict, bootstrap, judge_fixed, leave_one_out, misses, spearman

RULES = ("paper", "default", "share", "share_clusters")
NOTES = {"default": "threshold chosen with these targets known; image_dependence is the fair row"}
ANSWERS = ("post_hoc_half", "post_hoc_quarter")
ATTACKS = ("ridge", "decoder-XS", "decoder-S", "stack")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def correlation(evidence: Evidence, statistic: Statistic, attacks: Sequence[str]) -> float | None:
    """Rank correlation of a statistic with `recovered` over a target's cuts; positive as the rule needs it.

    Args:
        evidence: The target.
        statistic: The candidate.
        attacks: The strongest of these counts, at the cuts where all of them were carried out.
    """
    curve = evidence.statistic(statistic.name)
    if curve is None:
        return None
    figures = zip(*(evidence.recovered([attack]) for attack in attacks), strict=True)
    worst = [None if None in made else max(value for value in made if value is not None) for made in figures]
    pairs = [(statistic.sign * curve[k], value) for k, value in enumerate(worst) if value is not None]
    rho = spearman([x for x, _ in pairs], [y for _, y in pairs]) if len(pairs) > 2 else math.nan
    return None if math.isnan(rho) else rho


def correlation_cell(targets: Sequence[Evidence], statistic: Statistic, attacks: Sequence[str]) -> str:
    """Mean over targets with its interval and the lowest."""
    found = [rho for one in targets if (rho := correlation(one, statistic, attacks)) is not None]
    if not found:
        return "not measured"
    mean = sum(found) / len(found)
    if len(found) == 1:
        return f"{mean:.2f} (one target)"
    low, high = bootstrap(found)
    return f"{mean:.2f} ({low:.2f} to {high:.2f}), lowest {min(found):.2f}, {len(found)} targets"


def correlations(targets: Sequence[Evidence]) -> str:
    """Table of rank correlations."""
    return table(
        ("statistic", "needs labels", "ridge, where it was run", "ridge and decoder-XS, where both were run", "pooled"),
        (
            (
                f"{one.name}: {one.about}",
                "yes" if one.labels else "no",
                correlation_cell(targets, one, ["ridge"]),
                correlation_cell(targets, one, ["ridge", "decoder-XS"]),
                pooled(targets, one),
            )
            for one in STATISTICS
        ),
    )


def pooled(targets: Sequence[Evidence], statistic: Statistic) -> str:
    """Rank correlation over all cuts of all targets, with what is left of the first cut's lead; limits as above."""
    pairs = [found for one in targets if (found := lead_pairs(one, statistic))]
    if not pairs:
        return "not measured"

    def rho(chosen: Iterable[int]) -> float:
        rows = [pair for index in chosen for pair in pairs[index]]
        return spearman([x for x, _ in rows], [y for _, y in rows])

    drawn = np.random.default_rng(0).integers(0, len(pairs), (500, len(pairs)))
    low, high = np.percentile([rho(row) for row in drawn], (2.5, 97.5))
    return f"{rho(range(len(pairs))):.2f} ({low:.2f} to {high:.2f})"


def lead_pairs(one: Evidence, statistic: Statistic) -> list[tuple[float, float]]:
    """Statistic and share of the lead by ridge at every cut."""
    curve, worst = one.statistic(statistic.name), one.recovered(["ridge"])
    if curve is None or worst[0] is None:
        return []
    mean = float(one.content["baselines"]["class_mean"])
    return [
        (statistic.sign * curve[k], (value - mean) / (worst[0] - mean))
        for k, value in enumerate(worst)
        if value is not None
    ]


def same_size_table(folder: Path, targets: Sequence[Evidence]) -> str:
    """Early cuts brought to the size of the zone's first cut, beside that cut; empty where it was not measured."""
    path = folder / "same-size.json"
    if not path.exists():
        return ""
    content = json.loads(path.read_text())
    rows = [(row["cut"], row["how"], row["elements_before"], row["attacks"]) for row in content["rows"]]
    for one in targets:
        if one.target == content["target"]:
            rows += [
                (cut["name"], "as it is", cut["elements"], cut["attacks"])
                for cut in one.cuts
                if cut["elements"] == content["elements"]
            ]
    body = table(
        ("cut", "brought to the size", "elements before", *ATTACKS),
        (
            (cut, how, str(elements), *(figure({a["attack"]: a for a in attacks}.get(name)) for name in ATTACKS))
            for cut, how, elements, attacks in rows
        ),
    )
    return f"Z of {content['target']} with {content['elements']} elements:\n\n{body}"


def cases_of(targets: Sequence[Evidence], statistic: Statistic, answer: str) -> list[Case]:
    """The targets that a statistic can be judged on."""
    return [case for one in targets if (case := one.case(statistic, answer)) is not None]


def verdict_row(
    name: str, verdicts: Sequence[Verdict], by_misses: Sequence[Verdict], names: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Hits, mean distance, range of thresholds, and the misses by name; hits of the other way to fit."""
    hits = sum(one.hit for one in verdicts)
    away = sum(abs(one.said - one.answer) for one in verdicts) / len(verdicts)
    thresholds = [one.threshold for one in verdicts if one.threshold is not None]
    span = f"{min(thresholds):.3g} to {max(thresholds):.3g}" if thresholds else ""
    missed = [
        f"{one.target} ({word(names[one.target], one.said)}, attack {word(names[one.target], one.answer)})"
        for one in verdicts
        if not one.hit
    ]
    other = f"{sum(one.hit for one in by_misses)} of {len(by_misses)}" if by_misses else ""
    early = sum(not one.hit and one.said < one.answer for one in verdicts)
    return (name, f"{hits} of {len(verdicts)}", str(early), f"{away:.2f}", other, span, "; ".join(missed) or "none")


def word(names: Sequence[str], position: int) -> str:
    """A position in words."""
    return "no zone" if position == len(names) - 1 else names[position]


def fixed_rules(targets: Sequence[Evidence], answer: str) -> list[tuple[str, tuple[Verdict, ...]]]:
    """Rules with nothing to fit: the paper's, goldcut's default, and the last cut before the output."""
    judged = []
    for rule in (*RULES, "last cut"):
        said: dict[str, int] = {}
        cases = []
        for one in targets:
            found = len(one.names) - 2 if rule == "last cut" else one.zone(rule)
            right = one.zone(answer)
            if found is not None and right is not None:
                said[one.target] = found
                cases.append(Case(one.target, tuple(range(len(one.names))), right))
        if cases:
            judged.append((rule, judge_fixed(said, cases)))
    return judged


def verdicts_table(targets: Sequence[Evidence], answer: str) -> str:
    """Hit rates of all rules against one post hoc zone, the best first."""
    names = {one.target: one.names for one in targets}
    rows: list[tuple[str, Sequence[Verdict], Sequence[Verdict]]] = [
        (f"**{rule}** ({NOTES.get(rule, 'nothing fitted')})", verdicts, ())
        for rule, verdicts in fixed_rules(targets, answer)
    ]
    for statistic in STATISTICS:
        cases = cases_of(targets, statistic, answer)
        if len(cases) > 1:
            rows.append((statistic.name, leave_one_out(cases), leave_one_out(cases, misses)))
    ranked = sorted(rows, key=lambda row: (-sum(v.hit for v in row[1]), sum(abs(v.said - v.answer) for v in row[1])))
    return table(
        ("rule", "hits", "too early", "mean distance in cuts", "hits when fitted by misses", "thresholds", "misses"),
        (verdict_row(*row, names) for row in ranked),
    )


def agreement(targets: Sequence[Evidence]) -> str:
    """Where each rule and the attacks see the zone, and what is recovered around it."""

    def cell(one: Evidence, rule: str) -> str:
        found = one.zone(rule)
        return "not measured" if found is None and rule in RULES else where(one, found)

    return table(
        ("target", "accuracy", *RULES, *ANSWERS, "half, ridge and XS alone", "recovered around the half zone"),
        (
            (
                one.target,
                f"{one.content['training']['accuracy']:.3f}",
                *(cell(one, rule) for rule in (*RULES, *ANSWERS)),
                where(one, one.zone_by(("ridge", "decoder-XS"))),
                around(one),
            )
            for one in targets
        ),
    )


def where(one: Evidence, position: int | None) -> str:
    """A position in words, or that there is none."""
    return "not decided" if position is None else word(one.names, position)


def around(one: Evidence) -> str:
    """Class mean, first cut, the cut before the zone and the zone's first."""
    worst, start = one.recovered(), one.zone("post_hoc_half")
    shown = {0, len(one.names) - 1, *(() if start is None else (start - 1, start))}
    told = [f"{one.names[k]} {value:.2f}" for k in sorted(shown) if k >= 0 and (value := worst[k]) is not None]
    return f"class mean {one.content['baselines']['class_mean']:.2f}; {', '.join(told)}"


def curves(one: Evidence) -> str:
    """What was measured at every cut of a target."""
    shown = ("within_share_standardised", "effective_rank", "local_rank", "cka_images", "gain")
    measured = [name for name in shown if one.statistic(name) is not None]
    columns = {name: one.statistic(name) or [] for name in measured}

    def row(k: int) -> tuple[str, ...]:
        cut = one.cuts[k]
        best = max(cut["attacks"], key=lambda each: each["recovered"], default=None)
        by_name = {each["attack"]: each for each in cut["attacks"]}
        return (
            cut["name"],
            " x ".join(map(str, cut["shape"])),
            *(f"{columns[name][k]:.3g}" for name in measured),
            *(figure(by_name.get(name)) for name in ATTACKS),
            f"{best['recovered_low']:.3f} to {best['recovered_high']:.3f}" if best else "",
            f"{best['identification']:.2f}" if best and best["identification"] is not None else "",
        )

    head = ("cut", "Z", *measured, *ATTACKS, "worst, 95 %", "identified of 20")
    training = one.content["training"]
    return (
        f"### {one.target}\n\nAccuracy {training['accuracy']:.3f} on {training['accuracy_images']} images,"
        f" {training['epochs']} epochs on {training['training_images']}.\n\n"
        + table(head, (row(k) for k in range(len(one.cuts))))
    )


def figure(attack: Mapping[str, Any] | None) -> str:
    """What an attack recovered."""
    if attack is None:
        return ""
    return f"{attack['recovered']:.3f}" + ("" if attack["converged"] else " (still improving)")


def page(targets: Sequence[Evidence], controls: Sequence[Evidence], same_size: str = "") -> str:
    """All tables."""
    undecided = [one.target for one in targets if one.zone("post_hoc_half") is None]
    decided = len(targets) - len(undecided)
    parts = [
        "# The evidence for the zone",
        "Written by `python -m benchmarks.zone.judge docs/results/zone` from the JSON beside it; the JSON by"
        " `python -m benchmarks.zone DATA_DIR --out DIR`. The attacker has 4,000 images that the target was"
        " trained on; victims are 1,000 others. Ridge regression was run at every third cut or more, the small decoder"
        " XS at the last and at those that bisection needs, the decoder S, where it stands, at the two that decide;"
        " stack, where it stands, weighs these together."
        " `recovered` is that of the strongest and a lower bound. The first four targets (ResNet-20, VGG16 and ViT on"
        " CIFAR-10, the CNN on MNIST) were attacked with a decoder XS scored every 100 steps, at most 6,000, the others"
        " with one scored every 50, at most 3,000: `round_steps` in the JSON. The candidates share_over_images,"
        " cka_beyond_labels and dcor_beyond_labels were thought of when these four were known, the others before.",
        f"{len(targets)} targets, the post hoc zone decided on {decided}"
        + (f", not on {', '.join(undecided)}." if undecided else "."),
        "## Where each rule sees the zone",
        agreement(targets),
        "## Rank correlation with worst `recovered`",
        "Within each target over its block-level cuts, signed so that 1 is what a rule needs; then the mean over"
        " targets with 95 % limits from drawing targets anew. Depth alone is the bar: everything that falls along a"
        " network correlates. Last column: these cuts of all targets together, with the share of the first cut's lead"
        " over the class mean that ridge keeps, which is what one threshold for all networks needs.",
        correlations(targets),
    ]
    for answer in ANSWERS:
        parts += [
            f"## Rules against {answer}",
            "Rule: the zone starts at the first cut from which on the statistic stays at or below a threshold; the"
            " threshold is fitted on the other targets (smallest summed distance in cuts; beside it what the smallest"
            " number of misses would have given). A hit is at most one"
            ' block-level cut off; "too early" counts the misses that promise a zone where attacks still get more;'
            '  "no zone" is a hit only where attacks find none. A rule that does not beat "last'
            ' cut" and the rules that do not look at Z is no evidence. Attacks find no zone on'
            f" {sum(one.zone(answer) == len(one.names) - 1 for one in targets)} of"
            f' {sum(one.zone(answer) is not None for one in targets)} decided targets: as often "no zone" alone is'
            " right.",
            verdicts_table(targets, answer),
        ]
    if controls or same_size:
        parts += ["## Controls", *([same_size] if same_size else [])]
        parts += [agreement(controls)] if controls else []
    parts += ["## All cuts", *(curves(one) for one in (*targets, *controls))]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write README.md into the folder of results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    targets, controls = read_evidence(folder)
    (folder / "README.md").write_text(page(targets, controls, same_size_table(folder, targets)))


if __name__ == "__main__":
    main()
