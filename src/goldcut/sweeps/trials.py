"""A trial: one run folder, that is a model, images and a defence, with all attacks at all cuts that are asked for.

Trials that share model, images, defence and seed differ in who attacks; the cuts and attacks of a trial are rows of its
table and share its scan and its features.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from goldcut.records import Knowledge
from goldcut.sources.factory import is_file_spec

ID_LENGTH = 12
"""Hexadecimal digits of a trial's name."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model as the command line names it.

    Attributes:
        spec: Such as "torchvision:resnet18" or "model.py:build".
        checkpoint: File of weights.
        weights: Name of a library's own weights.
        input: (C, H, W).
        classes: Number of logits.
        mean: Normalisation per channel.
        std: Its divisor.
    """

    spec: str
    checkpoint: str | None = None
    weights: str | None = None
    input: tuple[int, int, int] | None = None
    classes: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.spec, self.checkpoint, self.weights)))


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a run folder is made of; the words are those of `goldcut scan` and `goldcut attack`.

    Attributes:
        files: (name, SHA-256) of the files that model and images are made of, so that new weights are a new trial.
    """

    model: ModelSource
    data: str
    defense: str | None = None
    labels: str = "truth"
    level: str = "block"
    cuts: str = "all"
    attacks: str = "standard"
    effort: str = "standard"
    knowledge: Knowledge = "weights"
    aux: str | None = None
    victims: int = 1000
    queries: int = 1
    seed: int = 0
    files: tuple[tuple[str, str], ...] = ()

    @property
    def content(self) -> str:
        """All of it as JSON with sorted keys; what is at its default is left out, so that new fields change no name."""
        return json.dumps(_differing(self), sort_keys=True, separators=(",", ":"))

    @property
    def id(self) -> str:
        """Its name: the same content has the same one wherever and whenever it is run."""
        return hashlib.sha256(self.content.encode()).hexdigest()[:ID_LENGTH]

    def __str__(self) -> str:
        parts = [str(self.model), self.data, self.defense or "no defence"]
        own = _differing(self)
        parts += [f"{key} {own[key]}" for key in own if key not in ("model", "data", "defense", "files", "seed")]
        return ", ".join([*parts, f"seed {self.seed}"])


def name_source(
    spec: str, *, input_shape: tuple[int, int, int] | None = None, checkpoint: Path | None = None, **flags: Any
) -> ModelSource:
    """A model by the flags of the command line."""
    return ModelSource(
        spec=spec, input=input_shape, checkpoint=None if checkpoint is None else str(checkpoint), **flags
    )


def read_content(content: str) -> Trial:
    """The trial of a content.

    Example:
        >>> trial = Trial(model=ModelSource(spec="goldcut:cnn4", input=(1, 28, 28)), data="npz:digits.npz", seed=1)
        >>> read_content(trial.content) == trial
        True
    """
    values = json.loads(content)
    model: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.pop("model").items()
    }
    files = tuple((name, digest) for name, digest in values.pop("files", ()))
    return Trial(model=ModelSource(**model), files=files, **values)


def expand(axes: Mapping[str, Sequence[Any]], exclude: Sequence[Mapping[str, Sequence[Any]]] = ()) -> tuple[Trial, ...]:
    """Every combination of the axes but the excluded ones, the first axis turning slowest.

    Args:
        axes: Values of each field of a trial.
        exclude: Each leaves out the trials that have, in all of its fields, one of its values. A model is meant by its
            spec or by some of its fields.

    Example:
        >>> [(one.defense, one.seed) for one in expand(
        ...     {"model": [ModelSource(spec="m")], "data": ["d"], "defense": [None, "noise:1"], "seed": [0, 1]},
        ...     [{"defense": ["noise:1"], "seed": [1]}])]
        [(None, 0), (None, 1), ('noise:1', 0)]
    """
    every = (Trial(**dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values()))
    return tuple(trial for trial in every if not any(matches(trial, one) for one in exclude))


def matches(trial: Trial, exclusion: Mapping[str, Sequence[Any]]) -> bool:
    """Whether the trial has one of the values in each field that is named."""
    return all(any(_is(getattr(trial, key), value) for value in values) for key, values in exclusion.items())


def named_files(trial: Trial) -> tuple[Path, ...]:
    """Files that a trial reads and that are worth hashing: checkpoint, factories and packed images."""
    found = [Path(trial.model.checkpoint)] if trial.model.checkpoint else []
    for spec in filter(None, (trial.model.spec, trial.data, trial.aux)):
        if is_file_spec(spec):
            found.append(Path(spec.rpartition(":")[0]))
        elif spec.startswith("npz:"):
            found.append(Path(spec.removeprefix("npz:")))
    return tuple(dict.fromkeys(path for path in found if path.is_file()))


def _is(value: Any, wanted: Any) -> bool:
    if isinstance(value, ModelSource):
        named = {"spec": wanted} if isinstance(wanted, str) else wanted
        return all(getattr(value, key) == part for key, part in named.items())
    return bool(value == wanted)


def _differing(one: Any) -> dict[str, Any]:
    """The fields that are not at their default, as plain values."""
    found = {}
    for field in fields(one):
        value = getattr(one, field.name)
        if field.default is MISSING or value != field.default:
            found[field.name] = _differing(value) if isinstance(value, ModelSource) else value
    return found
