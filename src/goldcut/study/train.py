"""From a model and labelled images to trained weights, with a record beside them."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import nn

from goldcut import records
from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.defenses.suite import read_defense
from goldcut.errors import DataError, ModelError, TrainingError
from goldcut.metrics.bootstrap import bootstrap_mean
from goldcut.progress import Progress, silent
from goldcut.records import Cut, TrainRecord, write_atomically
from goldcut.sources.factory import suggest
from goldcut.sources.images import Images, Pack, Parts, divide
from goldcut.sources.models import Target, hash_model, load_model
from goldcut.study.places import choose_places, choose_watched
from goldcut.study.provenance import Stopwatch
from goldcut.study.scan import open_sources
from goldcut.study.weights import Files, state_of
from goldcut.training.augment import AUGMENTATIONS
from goldcut.training.classifier import PRECISIONS, Recipe, selected_epoch, steps_per_epoch, train_classifier
from goldcut.training.sending import Sending
from goldcut.training.specs import check_pair, parse_loss, parse_targets
from goldcut.training.taps import find_modules
from goldcut.training.targets import Teacher
from goldcut.training.vortex import RadiusMonitor, judge


def open_training(model: str, data: str, *, classes: int | None = None, **flags: Any) -> tuple[Target, Pack]:
    """Load MODEL and DATA; the model gets as many logits as the data has classes, unless the user says how many.

    Raises:
        ModelError, DataError, MissingExtra: One of them cannot be used.
    """
    target, pack = open_sources(model, data, classes=classes, **flags)
    found = len(pack.scanned.classes)
    logits = _logits(target)
    if classes is None and logits != found and flags.get("checkpoint") is None and flags.get("weights") is None:
        target = load_model(model, classes=found, **(flags | {"input_shape": target.input_shape}))
    return target, pack


def train(
    target: Target,
    pack: Pack,
    *,
    out: Path,
    targets: str = "one-hot",
    loss: str = "ce",
    defense: str | None = None,
    at: str | None = None,
    watch: str = "spread",
    epochs: int = 10,
    batch: int = 128,
    rate: float = 1e-3,
    weight_decay: float = 1e-2,
    augment: str = "none",
    splits: int = 10,
    precision: str = "auto",
    device: str = "cpu",
    seed: int = 0,
    resume: bool = False,
    progress: Progress = silent,
) -> TrainRecord:
    """Train a model on the training part, keep the epoch that a selection part likes best, look at the test part once.

    Args:
        target: The model as it is before; it is trained in place.
        pack: Images in two parts; the selection part is a tenth of the training part.
        out: The weights, a .safetensors file; the record is OUT with the ending .json. A finished training with
            the same settings is returned as it is; an interrupted one goes on.
        targets: Label distribution, see `goldcut.training.labels`.
        loss: See `goldcut.training.losses`.
        defense: Such as "noise:0.3": what is behind the cut is trained and judged on what is sent.
        at: Names of the cuts that the loss acts on and at which the defence stands; when None the deepest block before
            the output that is a module's.
        watch: Names of the cuts that are watched, "spread" (a few and the output), "all" or "none".
        epochs: Passes over the training images.
        batch: Images a step.
        rate: Highest learning rate.
        weight_decay: Of AdamW.
        augment: "none", "flip", "shift" or "shift+flip".
        splits: At how many steps the change of R_c^2 is split.
        precision: "auto", "float32" or "bfloat16".
        device: Where the model is trained.
        seed: Of the parts, the order and all chance.
        resume: Refuse to start anew.
        progress: Told the steps.

    Raises:
        GoldcutError: Something cannot be used; the message says what.
    """
    clock, files = Stopwatch(), Files(out)
    rule, criterion = parse_targets(targets), parse_loss(loss)
    chosen = read_defense(defense) if defense is not None else None
    check_pair(criterion, rule)
    _check_choice("augmentation", augment, AUGMENTATIONS)
    _check_choice("precision", precision, PRECISIONS)
    files.check()
    parts, graph = _divide(pack, seed), find_cuts(target.model.to(device), target.input_shape)
    _check_classes(graph, parts.training)
    rule.check(graph.output_shape[0])
    rule = rule.taught(lambda path: _load_teacher(target, path, device))
    watched, places = choose_watched(graph, watch), choose_places(graph, target.model, criterion, defense, at)
    names = tuple(cut.name for cut in places)
    shown = parts.selection.batch(range(min(8, len(parts.selection)))).to(device)
    modules = find_modules(graph, target.model, names, shown)
    recipe = Recipe(
        targets=rule,
        loss=criterion.joined(places, target.input_shape, chosen, seed) if criterion.on_cuts else criterion,
        modules=modules if criterion.on_cuts else {},
        acts_on=names if criterion.on_cuts else (),
        epochs=epochs,
        batch=batch,
        rate=rate,
        weight_decay=weight_decay,
        augment=augment,
        precision=precision,
        sending=Sending(chosen, names[0], modules[names[0]]) if chosen else None,
    )
    settings = {
        **_settings(recipe),
        "watch": [cut.name for cut in watched],
        "splits": splits,
        "seed": seed,
        "initial_sha256": target.record.sha256,
        "training_sha256": parts.training.record.sha256,
        "test_sha256": pack.scanned.record.sha256,
    }
    begun = files.begun(settings, resume)
    if begun is not None and begun.complete:
        return begun
    record = TrainRecord(
        model=target.record,
        training=parts.training.record,
        selection=parts.selection.record,
        test=pack.scanned.record,
        duplicates_removed=parts.duplicates_removed,
        targets=rule.spec,
        loss=criterion.spec,
        acts_on=recipe.acts_on,
        defense=chosen.spec if chosen else None,
        defended_cut=names[0] if chosen else None,
        settings=settings,
        epochs=epochs,
        provenance=clock.provenance(settings=settings, seed=seed, device=device),
    )
    monitor = _monitor(graph, parts, watched, recipe, splits, device, seed)
    if begun is None:
        files.state.unlink(missing_ok=True)
    else:
        monitor.epochs, monitor.splits = list(begun.history), list(begun.splits)

    def recorded() -> None:
        records.save(replace(record, history=tuple(monitor.epochs), splits=tuple(monitor.splits)), files.record)

    recorded()
    fitted = train_classifier(
        target.model,
        parts.training,
        recipe,
        monitor,
        seed=seed,
        device=device,
        checkpoint=files.state,
        recorded=recorded,
        progress=progress,
    )
    logits = judge(graph, pack.scanned, recipe.sending, device=device, seed=seed)
    correct = (logits.argmax(1).numpy() == pack.scanned.labels).astype(np.float64)
    low, high = bootstrap_mean(correct, seed=seed)
    write_atomically(files.weights, safetensors.torch.save(state_of(target.model)))
    record = replace(
        record,
        model=replace(target.record, checkpoint=str(out), weights=None, sha256=hash_model(target.model)),
        history=tuple(monitor.epochs),
        splits=tuple(monitor.splits),
        selected=selected_epoch(fitted.scores),
        accuracy=float(correct.mean()),
        accuracy_low=low,
        accuracy_high=high,
        complete=True,
        provenance=clock.provenance(settings=settings, seed=seed, device=device),
    )
    records.save(record, files.record)
    files.state.unlink(missing_ok=True)
    return record


def _settings(recipe: Recipe) -> dict[str, Any]:
    """What the weights depend on, as JSON holds it."""
    own = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    del own["modules"], own["sending"]
    own |= {"targets": recipe.targets.spec, "loss": recipe.loss.spec, "acts_on": list(recipe.acts_on)}
    if recipe.sending is not None:
        own |= {"defense": recipe.sending.defense.spec, "defended_cut": recipe.sending.cut}
    if isinstance(recipe.targets, Teacher) and recipe.targets.model is not None:
        own["teacher_sha256"] = hash_model(recipe.targets.model)
    return own


def _monitor(
    graph: CutGraph, parts: Parts, watched: tuple[Cut, ...], recipe: Recipe, splits: int, device: str, seed: int
) -> RadiusMonitor:
    steps = recipe.epochs * steps_per_epoch(len(parts.training), recipe.batch)
    chosen = np.unique(np.linspace(0, steps - 1, min(splits, steps)).round().astype(int)).tolist()
    return RadiusMonitor(
        graph,
        parts.selection,
        watched,
        recipe.targets,
        split_steps=chosen,
        steps=steps,
        device=device,
        seed=seed,
        sending=recipe.sending,
    )


def _divide(pack: Pack, seed: int) -> Parts:
    """Training and selection parts that share no image with each other or with the test part."""
    if pack.attacker is None:
        raise DataError(
            f"{pack.scanned.spec} has one part, and a model needs images to be trained on that are not scanned later",
            "Give x_train, y_train, x_test and y_test.",
        )
    different = len(np.unique(pack.scanned.hashes()))
    return divide(pack.scanned, pack.attacker, victims=different, seed=seed)


def _check_classes(graph: CutGraph, images: Images) -> None:
    logits = graph.output_shape
    if len(logits) != 1 or logits[0] != len(images.classes):
        shape = "x".join(map(str, logits))
        raise ModelError(
            f"the model gives {shape} outputs an image and the data has {len(images.classes)} classes",
            "Give --classes, or the right data.",
        )


def _check_choice(what: str, name: str, known: Sequence[str] | dict[str, Any]) -> None:
    if name not in known:
        raise TrainingError(f"there is no {what} {name!r}", suggest(name, known))


def _load_teacher(target: Target, path: Path, device: str) -> nn.Module:
    record = target.record
    teacher = load_model(
        record.spec,
        input_shape=record.input_shape,
        checkpoint=path,
        classes=_logits(target),
        mean=record.mean,
        std=record.std,
    )
    return teacher.model.to(device).requires_grad_(False)


def _logits(target: Target) -> int:
    with torch.no_grad():
        parameter = next(target.model.parameters())
        return int(target.model(torch.full((2, *target.input_shape), 0.5, device=parameter.device)).shape[-1])
