"""Train, scan and attack the networks that zone rules are judged on.

    python -m benchmarks.zone DATA_DIR --out runs/zone [--targets resnet20-cifar vgg16-cifar]

DATA_DIR holds cifar10_lossless_15k_5k.npz and mnist.npz (x_train, y_train, x_test, y_test). Every step is kept in
the folder OUT/TARGET and not done again; a target that is finished is written to docs/results/zone/TARGET.json, from
which `python -m benchmarks.zone.judge docs/results/zone` makes the tables.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from jaxtyping import Int64

from benchmarks.zone.attack import ATTACKER_IMAGES, Bench, attack_harder, attack_target, attack_together
from benchmarks.zone.candidates import (
    candidate_figures,
    distance_correlation,
    linear_cka,
    standardised,
    within_share,
)
from benchmarks.zone.targets import CLASSES, CONTROLS, DATA, TARGETS
from benchmarks.zone.train import open_target, split_name, train_target
from goldcut import records
from goldcut.cuts import find_cuts
from goldcut.records import AttackResult, ScanRecord
from goldcut.sources.images import Pack
from goldcut.sources.models import Target
from goldcut.study.run import Run
from goldcut.study.scan import scan

RESULTS = Path("docs/results/zone")
ATTACKS = {"attack": attack_target, "harder": attack_harder, "together": attack_together}
CANDIDATE_IMAGES = 256
CLUSTERS = f"clusters:{CLASSES}"
STATISTICS = (
    "radius_sq",
    "radius_sq_paper",
    "radius_sq_per_element",
    "total_variance",
    "within_share",
    "within_share_standardised",
    "effective_rank",
    "image_dependence",
    "entropy_global_paper",
    "entropy_class_paper",
)
ATTACK_FIELDS = (
    "attack",
    "recovered",
    "recovered_low",
    "recovered_high",
    "mse",
    "beyond_label",
    "identification",
    "converged",
    "steps",
    "selection_mse",
)


def run_target(name: str, data: Path, out: Path, steps: set[str]) -> None:
    """All steps of a target that are asked for, and its JSON as far as it is known."""
    pack, folder = DATA[split_name(name)[1]].read(data), out / name
    train_target(name, pack, folder)
    target = open_target(name, folder)
    truth = scan(target, pack, out=folder / "truth")
    bench = Bench.of(target, pack, truth, folder / "truth")
    for step, carry_out in ATTACKS.items():
        if step in steps:
            carry_out(bench)
    if "candidates" in steps:
        find_candidates(target, pack, truth, folder / "candidates.json")
        (folder / "images.json").write_text(json.dumps(describe_images(pack)))
    if "clusters" in steps:
        scan(target, pack, out=folder / "clusters", labels=CLUSTERS)
    if Run(folder / "truth").attack() is not None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(summarise(name, folder), indent=1) + "\n")


def describe_images(pack: Pack) -> dict[str, float]:
    """What the images alone say: their own within-class share, and how far their labels tell them."""
    labels = torch.from_numpy(pack.scanned.labels)
    chosen = choose_images(pack)
    x = pack.scanned.batch(chosen).flatten(1)
    classes = torch.nn.functional.one_hot(labels[chosen], CLASSES)
    return {
        "within_share_standardised": within_share(standardised(pack.scanned.batch(range(len(labels))), "map"), labels),
        "dcor_labels": distance_correlation(x, classes),
        "cka_labels": linear_cka(x, classes),
    }


def choose_images(pack: Pack) -> Int64[np.ndarray, " n"]:
    """The images of the candidate statistics."""
    return np.sort(np.random.default_rng(0).permutation(len(pack.scanned))[:CANDIDATE_IMAGES])


def find_candidates(target: Target, pack: Pack, truth: ScanRecord, path: Path) -> None:
    """Write the candidate statistics of every cut; done already, it stays."""
    if path.exists():
        return
    graph = find_cuts(target.model, target.input_shape)
    figures = candidate_figures(graph, [row.name for row in truth.cuts], pack.scanned.batch(choose_images(pack)))
    path.write_text(json.dumps(figures, indent=1))


def summarise(name: str, folder: Path) -> dict[str, Any]:
    """What is committed of a target."""
    run = Run(folder / "truth")
    truth, attacked = run.scan(), run.attack()
    assert attacked is not None
    others = folder / "clusters" / "scan.json"
    clusters = records.load(others, ScanRecord) if others.exists() else None
    found = folder / "candidates.json"
    candidates = json.loads(found.read_text()) if found.exists() else {}
    images = folder / "images.json"
    plain = msgspec.to_builtins
    constants = attacked.baselines
    return {
        "target": name,
        "command": f"python -m benchmarks.zone DATA_DIR --out OUT --targets {name}",
        "training": json.loads((folder / "train.json").read_text()),
        "model_sha256": truth.model.sha256,
        "images_sha256": truth.data.sha256,
        "image_shape": truth.data.shape,
        "classes": len(truth.data.classes),
        "scanned_images": truth.data.images,
        "images": json.loads(images.read_text()) if images.exists() else None,
        "versions": dict(truth.provenance.versions),
        "machine": truth.provenance.machine,
        "seeds": {"training": 0, **truth.provenance.seeds},
        "attacker": {
            "images": ATTACKER_IMAGES,
            "target_trained_on_them": True,
            "training_images": attacked.view.training_images,
            "selection_images": attacked.view.selection_images,
            "victims": attacked.view.victims,
        },
        "baselines": {
            "class_mean": constants.class_mean.recovered if constants.class_mean else None,
            "nearest": {cut: scores.recovered for cut, scores in constants.nearest.items()},
        },
        "cuts": [
            {
                "name": row.name,
                "level": row.level,
                "kind": row.kind,
                "shape": row.shape,
                "elements": row.elements,
                "edge_flops": row.edge_flops,
                **{key: getattr(row, key) for key in STATISTICS},
                "information_gap": {f"{one.rho:g}": one.relative_gap for one in row.information},
                **candidates.get(row.name, {}),
                "attacks": [describe(one) for one in attacked.results if one.cut == row.name],
            }
            for row in truth.cuts
        ],
        "clusters": None
        if clusters is None
        else {
            row.name: {key: getattr(row, key) for key in ("radius_sq", "within_share", "within_share_standardised")}
            for row in clusters.cuts
        },
        "zones": {
            "paper": plain(truth.zone_paper),
            "default": plain(truth.zone),
            "post_hoc_half": plain(attacked.zone_post_hoc),
            "post_hoc_quarter": plain(attacked.zone_post_hoc_quarter),
        },
    }


def describe(one: AttackResult) -> dict[str, Any]:
    """What is committed of an attack; of a decoder also how often it was scored."""
    training = one.settings.get("settings", {})
    return {key: getattr(one, key) for key in ATTACK_FIELDS} | {
        key: training[key] for key in ("round_steps", "max_steps") if key in training
    }


def main() -> None:
    """Run what is asked for, one target after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--targets", nargs="+", choices=(*TARGETS, *CONTROLS), default=TARGETS)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    steps = (*ATTACKS, "candidates", "clusters")
    parser.add_argument("--steps", nargs="*", choices=steps, default=steps)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for name in given.targets:
        print(name, flush=True)
        run_target(name, given.data, given.out, set(given.steps))


if __name__ == "__main__":
    main()
