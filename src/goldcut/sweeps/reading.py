"""The file of a sweep: YAML whose lists multiply, read with the line of everything, all problems told together."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from goldcut.defenses.suite import read_defense
from goldcut.errors import GoldcutError, SweepError
from goldcut.records import KNOWLEDGE
from goldcut.sweeps.trials import ModelSource

LEVELS, EFFORTS = ("block", "group", "all"), ("small", "standard", "large")
FEWEST_VICTIMS = 20


@dataclass(frozen=True)
class Located:
    """A value and the line of the file, from 1, that it stands on."""

    value: Any
    line: int


@dataclass
class Grid:
    """What a file asks for, as far as it could be read.

    Attributes:
        path: The file.
        axes: Values of each field of a trial.
        exclude: Fields and values that leave trials out.
        problems: (line, what is wrong), in the order they were found.
    """

    path: Path
    axes: dict[str, tuple[Located, ...]] = field(default_factory=dict)
    exclude: tuple[Located, ...] = ()
    problems: list[tuple[int, str]] = field(default_factory=list)

    def complain(self, line: int, text: str) -> None:
        """Note a problem; the same one is noted once."""
        if (line, text) not in self.problems:
            self.problems.append((line, text))

    def values(self) -> dict[str, tuple[Any, ...]]:
        """The axes without lines."""
        return {key: tuple(one.value for one in found) for key, found in self.axes.items()}

    def line_of(self, key: str, value: Any) -> int:
        """Where a value of an axis stands; 1 where it is a default."""
        return next((one.line for one in self.axes.get(key, ()) if one.value == value), 1)

    def check(self) -> None:
        """Refuse the file if anything is wrong with it.

        Raises:
            SweepError: With every problem on a line of its own.
        """
        if self.problems:
            told = "".join(f"\n  line {line}: {text}" for line, text in sorted(self.problems))
            count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
            raise SweepError(f"{self.path} has {count}, nothing was run:{told}")


Read = Callable[[Any, str], Any]
"""From what YAML made of a scalar, and the key, to the value; raises ValueError with what is expected."""


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("some text")
    return value.strip()


def _whole(least: int) -> Read:
    def read(value: Any, key: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"a whole number from {least} on")
        return value

    return read


def _one_of(choices: tuple[str, ...]) -> Read:
    def read(value: Any, key: str) -> str:
        if value not in choices:
            near = difflib.get_close_matches(str(value), choices, n=1)
            raise ValueError(f"one of {', '.join(choices)}" + (f" (did you mean {near[0]}?)" if near else ""))
        return str(value)

    return read


def _or_none(read: Read) -> Read:
    return lambda value, key: None if value in (None, "none") else read(value, key)


def _defense(value: Any, key: str) -> str:
    return read_defense(_text(value, key)).spec


def _labels(value: Any, key: str) -> str:
    if not re.fullmatch(r"truth|predicted|clusters:[1-9]\d*", text := _text(value, key)):
        raise ValueError("truth, predicted, or clusters:K such as clusters:10")
    return text


def _numbers(count: int | None, kind: type | tuple[type, ...]) -> Read:
    def read(value: Any, key: str) -> tuple[Any, ...]:
        good = isinstance(value, list) and all(isinstance(one, kind) and not isinstance(one, bool) for one in value)
        if not good or not value or (count and len(value) != count):
            raise ValueError("a list of numbers such as [3, 32, 32]" if count else "a list of numbers, one per channel")
        return tuple(value) if count else tuple(map(float, value))

    return read


KEYS: Mapping[str, Read] = {
    "model": _text,
    "data": _text,
    "defense": _or_none(_defense),
    "labels": _labels,
    "level": _one_of(LEVELS),
    "cuts": _text,
    "attacks": _text,
    "effort": _one_of(EFFORTS),
    "knowledge": _one_of(KNOWLEDGE),
    "aux": _or_none(_text),
    "victims": _whole(FEWEST_VICTIMS),
    "queries": _whole(1),
    "seed": _whole(0),
}
"""The fields of a trial that a file may give, and how a value is read."""

NEEDED = ("model", "data")

JOINED = ("cuts", "attacks")
"""A list of these is one value: the rows of each trial's table."""

MODEL_KEYS: Mapping[str, Read] = {
    "spec": _text,
    "checkpoint": _text,
    "weights": _text,
    "input": _numbers(3, int),
    "classes": _whole(2),
    "mean": _numbers(None, (int, float)),
    "std": _numbers(None, (int, float)),
}


def read_grid(path: Path) -> Grid:
    """Read a file as far as it can be read; `Grid.check` refuses it for what could not.

    Raises:
        SweepError: There is no such file, or it is no YAML at all; the line is named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SweepError(f"{path} cannot be read: {error}", "Give a YAML file.") from error
    grid = Grid(path)
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        _read_root(loader, root, grid)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        grid.complain(mark.line + 1 if mark else 1, f"this is no YAML: {said}")
    return grid


def _read_root(loader: yaml.SafeLoader, root: yaml.Node | None, grid: Grid) -> None:
    if not isinstance(root, yaml.MappingNode):
        line = _line(root) if root else 1
        grid.complain(line, "the file has keys with values, such as `model: torchvision:resnet18`, and this has none")
        return
    for key, node in _entries(loader, root, {*KEYS, "exclude"}, grid):
        if key == "exclude":
            grid.exclude = _read_exclude(loader, node, grid)
        else:
            grid.axes[key] = _read_axis(loader, key, node, grid)
            _refuse_twins(key, grid)
    for key in NEEDED:
        if key not in grid.axes and not any(text.endswith(f"did you mean {key!r}?") for _, text in grid.problems):
            grid.complain(1, f"the file says no {key}")


def _read_axis(loader: yaml.SafeLoader, key: str, node: yaml.Node, grid: Grid) -> tuple[Located, ...]:
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not nodes:
        grid.complain(_line(node), f"{key} has an empty list")
    if key in JOINED:
        parts = [part.value for one in nodes for part in _scalar(loader, key, KEYS[key], one, grid)]
        return (Located(",".join(parts), _line(node)),) if parts else ()
    read = _read_model if key == "model" else _read_scalar
    return tuple(found for one in nodes for found in read(loader, key, one, grid))


def _read_scalar(loader: yaml.SafeLoader, key: str, node: yaml.Node, grid: Grid) -> Iterable[Located]:
    return _scalar(loader, key, KEYS[key], node, grid)


def _read_model(loader: yaml.SafeLoader, key: str, node: yaml.Node, grid: Grid) -> Iterable[Located]:
    if not isinstance(node, yaml.MappingNode):
        found = _scalar(loader, key, _text, node, grid, "a spec, or a mapping with `spec` and `checkpoint`")
        return [Located(ModelSource(spec=one.value), one.line) for one in found]
    known = _read_mapping(loader, node, grid)
    if "spec" not in known:
        if not any(name.value == "spec" for name, _ in node.value):
            grid.complain(_line(node), "this model has no spec")
        return []
    if known.get("checkpoint") and known.get("weights"):
        grid.complain(_line(node), "this model has both a checkpoint and weights")
    return [Located(ModelSource(**known), _line(node))]


def _read_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, grid: Grid) -> dict[str, Any]:
    """The fields of a model that are given and good."""
    return {
        key: one.value
        for key, value in _entries(loader, node, set(MODEL_KEYS), grid)
        for one in _scalar(loader, key, MODEL_KEYS[key], value, grid)
    }


def _read_exclude(loader: yaml.SafeLoader, node: yaml.Node, grid: Grid) -> tuple[Located, ...]:
    if not isinstance(node, yaml.SequenceNode):
        grid.complain(_line(node), "exclude takes a list, each with the keys and values of what is left out")
        return ()
    found = []
    for one in node.value:
        if not isinstance(one, yaml.MappingNode) or not one.value:
            grid.complain(_line(one), "an exclusion has keys and values, such as `{defense: noise:1, seed: 3}`")
            continue
        chosen = {
            key: _excluded(loader, key, value, grid) for key, value in _entries(loader, one, KEYS.keys() - JOINED, grid)
        }
        if chosen and all(chosen.values()):
            found.append(Located(chosen, _line(one)))
    return tuple(found)


def _excluded(loader: yaml.SafeLoader, key: str, node: yaml.Node, grid: Grid) -> tuple[Any, ...]:
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if key != "model":
        return tuple(found.value for one in nodes for found in _read_scalar(loader, key, one, grid))
    chosen: list[Any] = []
    for one in nodes:
        if isinstance(one, yaml.MappingNode):
            chosen.append(_read_mapping(loader, one, grid))
        else:
            chosen += [found.value for found in _scalar(loader, key, _text, one, grid)]
    return tuple(filter(None, chosen))


def _entries(
    loader: yaml.SafeLoader, node: yaml.MappingNode, known: Iterable[str], grid: Grid
) -> Iterable[tuple[str, yaml.Node]]:
    """Keys and values of a mapping, those merged by `<<` included; unknown keys and repeated ones are problems."""
    seen: dict[str, int] = {}
    for name, _ in node.value:
        if str(name.value) in seen:
            grid.complain(_line(name), f"{name.value!r} stands here and on line {seen[name.value]}")
        seen.setdefault(str(name.value), _line(name))
    loader.flatten_mapping(node)
    node.value = list({str(name.value): (name, value) for name, value in node.value}.values())
    for name, value in node.value:
        if isinstance(name, yaml.ScalarNode) and name.value in known:
            yield name.value, value
        else:
            near = difflib.get_close_matches(str(name.value), known, n=1, cutoff=0.5)
            cure = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            grid.complain(_line(name), f"there is no key {str(name.value)!r}; {cure}")


def _scalar(
    loader: yaml.SafeLoader, key: str, read: Read, node: yaml.Node, grid: Grid, expected: str = ""
) -> list[Located]:
    """One value, or none and a problem."""
    raw = key in JOINED and isinstance(node, yaml.ScalarNode)  # a cut may be called 3, or 3.10
    value = node.value if raw else loader.construct_object(node, deep=True)
    try:
        return [Located(read(value, key), _line(node))]
    except GoldcutError as error:
        grid.complain(_line(node), str(error))
    except ValueError as error:
        grid.complain(_line(node), f"{key} takes {expected or error}, not {_say(value)}")
    return []


def _refuse_twins(key: str, grid: Grid) -> None:
    seen: list[Any] = []
    for one in grid.axes[key]:
        if one.value in seen:
            grid.complain(one.line, f"{key} has {_say(one.value)} twice")
        seen.append(one.value)


def _say(value: Any) -> str:
    text = str(value) if isinstance(value, ModelSource) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
