"""What of a sweep is refused before anything runs: attacks, models, images and cuts that are not there."""

import hashlib
import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from goldcut.attacks.suite import choose_attacks
from goldcut.cuts.graph import find_cuts
from goldcut.errors import DataError, GoldcutError
from goldcut.progress import Progress, silent
from goldcut.sources.factory import is_file_spec
from goldcut.sources.images import Pack, load_images
from goldcut.sources.models import Target, load_model
from goldcut.study.scan import open_sources
from goldcut.sweeps.reading import Grid, read_grid
from goldcut.sweeps.trials import ModelSource, Trial, expand, matches, named_files

DEFAULTS: Mapping[str, Any] = {"cuts": "all", "attacks": "standard", "effort": "standard", "knowledge": "weights"}


def read_sweep(path: Path, *, done: Collection[str] = (), progress: Progress = silent) -> tuple[Trial, ...]:
    """The trials of a file, all of which can be begun.

    Each model is loaded and each data set opened once with each other.

    Args:
        path: YAML, see docs/sweep.md.
        done: Names of trials that need no look, because they are finished.
        progress: Told the pairs.

    Raises:
        SweepError: With every problem and its line.
    """
    grid = read_grid(path)
    _check_attacks(grid)
    axes = {key: [one.value for one in found] for key, found in grid.axes.items()}
    trials: tuple[Trial, ...] = ()
    if axes.get("model") and axes.get("data") and all(axes.values()):
        every = expand(axes)
        _check_exclusions(grid, every)
        trials = _with_hashes(expand(axes, [one.value for one in grid.exclude]))
        if not trials:
            grid.complain(1, "exclude leaves no trial")
        _check_sources(grid, [trial for trial in trials if trial.id not in done], progress)
    grid.check()
    return trials


def open_trial(trial: Trial) -> tuple[Target, Pack]:
    """The model and the images of a trial.

    Raises:
        GoldcutError: One of them cannot be used.
    """
    return open_source(trial.model, trial.data)


def open_source(model: ModelSource, data: str) -> tuple[Target, Pack]:
    """A model and images by what the command line calls them.

    Raises:
        GoldcutError: One of them cannot be used.
    """
    return open_sources(model.spec, data, **_flags(model))


def _flags(source: ModelSource) -> dict[str, Any]:
    """The flags of a model."""
    return {
        "input_shape": source.input,
        "checkpoint": Path(source.checkpoint) if source.checkpoint else None,
        "weights": source.weights,
        "classes": source.classes,
        "mean": source.mean,
        "std": source.std,
    }


def _check_attacks(grid: Grid) -> None:
    """Complain of attacks that are unknown, or that cannot be made with what an attacker knows."""
    axes = [grid.values().get(key, (default,)) for key, default in DEFAULTS.items()]
    for _, attacks, effort, knowledge in itertools.product(*axes):
        try:
            choose_attacks(attacks, effort, knowledge)
        except GoldcutError as error:
            grid.complain(grid.line_of("attacks", attacks), str(error))


def _check_exclusions(grid: Grid, every: Iterable[Trial]) -> None:
    trials = list(every)
    for one in grid.exclude:
        for key, values in one.value.items():
            for value in values:
                if not any(matches(trial, {key: (value,)}) for trial in trials):
                    grid.complain(one.line, f"exclude names {key} {value!r}, which the file does not ask for")


def _check_sources(grid: Grid, trials: Iterable[Trial], progress: Progress) -> None:
    """Complain of models, images and cuts that cannot be had, each pair of model and images looked at once."""
    looked = list({(t.model, t.data, t.aux, t.level, t.cuts): t for t in trials}.values())
    bad: set[ModelSource | str] = set()
    for turn, trial in enumerate(looked, 1):
        if not bad & {trial.model, trial.data}:
            try:
                _look(grid, trial)
            except DataError as error:
                bad.add(trial.data)
                grid.complain(grid.line_of("data", trial.data), str(error))
                _look_at_model(grid, trial.model)
            except GoldcutError as error:
                bad.add(trial.model)
                grid.complain(grid.line_of("model", trial.model), str(error))
                _look_at_images(grid, trial.data)
        progress("looking at models and images", turn, len(looked))


def _look(grid: Grid, trial: Trial) -> None:
    target, _ = open_trial(trial)
    if trial.aux is not None:
        try:
            load_images(trial.aux, shape=target.input_shape, labelled=False)
        except GoldcutError as error:
            grid.complain(grid.line_of("aux", trial.aux), str(error))
    if trial.cuts not in ("all", "zone"):
        graph = find_cuts(target.model, target.input_shape)
        known = {name for cut in graph.at_level(trial.level) for name in (cut.name, *cut.aliases)}
        for name in trial.cuts.split(","):
            if name.strip() not in known:
                grid.complain(grid.line_of("cuts", trial.cuts), f"{trial.model} has no cut {name.strip()!r} to attack")


def _look_at_model(grid: Grid, source: ModelSource) -> None:
    """Complain of a model that cannot be had whatever the images are; one of a file may need their size."""
    if is_file_spec(source.spec) and source.input is None:
        return
    try:
        load_model(source.spec, **_flags(source))
    except GoldcutError as error:
        grid.complain(grid.line_of("model", source), str(error))


def _look_at_images(grid: Grid, data: str) -> None:
    """Complain of images that cannot be had whatever the model is."""
    try:
        load_images(data)
    except GoldcutError as error:
        grid.complain(grid.line_of("data", data), str(error))


def _with_hashes(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """The trials with the hashes of their files, each file read once."""
    known: dict[Path, str] = {}
    found = []
    for trial in trials:
        paths = named_files(trial)
        for path in paths:
            if path not in known:
                with path.open("rb") as stream:
                    known[path] = hashlib.file_digest(stream, "sha256").hexdigest()
        found.append(replace(trial, files=tuple((str(path), known[path]) for path in paths)))
    return tuple(found)
