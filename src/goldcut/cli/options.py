"""The flags that several commands share, and what their text means."""

import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import click

from goldcut.progress import Progress

Command = TypeVar("Command", bound=Callable[..., Any])
Flags = dict[str, Any]

QUIET = 30.0
"""Seconds without a word in a log, at most, while work goes on."""

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Shape(click.ParamType[tuple[int, int, int]]):
    """C,H,W as three positive integers."""

    name = "C,H,W"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d+)[,x](\d+)[,x](\d+)", str(value).strip())
        if not found or "0" in found.groups():
            self.fail(f"{value!r} is no input shape; give channels, height and width, such as 3,64,64", param, ctx)
        channels, height, width = (int(part) for part in found.groups())
        return channels, height, width


class Memory(click.ParamType[int]):
    """A number of bytes: 4G, 512M."""

    name = "BYTES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", str(value).strip(), re.IGNORECASE)
        if not found or float(found[1]) == 0:
            self.fail(f"{value!r} is no amount of memory; give a number and a unit, such as 4G or 512M", param, ctx)
        return int(float(found[1]) * UNITS[found[2].upper()])


class Replicas(click.ParamType[tuple[int, int]]):
    """MIN:MAX, or one number for both."""

    name = "MIN:MAX"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,4})(?::(\d{1,4}))?", str(value).strip())
        least, most = (0, 0) if not found else (int(found[1]), int(found[2] or found[1]))
        if not 0 < least <= most:
            self.fail(f"{value!r} are no replicas; give how many at least and at most, such as 1:4", param, ctx)
        return least, most


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers separated by commas."""

    name = "A,B,C"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            numbers = (math.nan,)
        if not all(map(math.isfinite, numbers)):
            self.fail(f"{value!r} are no numbers; give one per channel, such as 0.5,0.5,0.5", param, ctx)
        return numbers


class Finite(click.FloatRange):
    """A number in a range that is neither infinite nor nan, which compares as no number does."""

    name = "NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return number


class Counts(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1 on, separated by commas: 300,1k,10k."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        found = [re.fullmatch(r"(\d+)(k?)", part.strip(), re.IGNORECASE) for part in str(value).split(",")]
        counts = tuple(int(one[1]) * (1000 if one[2] else 1) for one in found if one)
        if len(counts) < len(found) or 0 in counts:
            self.fail(f"{value!r} are no counts; give whole numbers such as 300,1k,10k", param, ctx)
        return counts


def bundle(name: str, **options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator; the command receives them as one dict argument called `name`."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def bundled(*args: Any, **values: Any) -> Any:
            values[name] = {key: values.pop(key) for key in options}
            return command(*args, **values)

        for option in reversed(options.values()):
            bundled = option(bundled)  # type: ignore[arg-type, assignment]
        return bundled  # type: ignore[return-value]

    return decorate


model_options = bundle(
    "model_flags",
    input_shape=click.option("--input", "input_shape", type=Shape(), help="Size of the images the model receives."),
    checkpoint=click.option(
        "--checkpoint", type=click.Path(path_type=Path), help="Weights: safetensors, or .pt/.pth/.th."
    ),
    weights=click.option("--weights", metavar="NAME", help="A library's pretrained weights."),
    classes=click.option("--classes", type=click.IntRange(min=2), help="Number of classes of the model."),
    mean=click.option("--mean", type=Numbers(), help="Normalisation inside the model; default: the library's."),
    std=click.option("--std", type=Numbers(), help="Its divisor per channel."),
)
cut_options = bundle(
    "cut_flags",
    level=click.option(
        "--level",
        type=click.Choice(["block", "group", "all"]),
        default="block",
        show_default=True,
        help="Which cuts: one a block, one a group of element-wise steps, or every one.",
    ),
    measure=click.option("--measure", is_flag=True, help="Time both halves of every cut on this machine."),
)
credentials_options = bundle(
    "credentials",
    token_file=click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File whose first line is the bearer token.",
    ),
    ca=click.option(
        "--ca",
        type=click.Path(path_type=Path, dir_okay=False),
        help="PEM of the authorities to trust; default: the system's.",
    ),
    tls_cert=click.option(
        "--tls-cert", type=click.Path(path_type=Path, dir_okay=False), help="PEM of the client's own certificate."
    ),
    tls_key=click.option("--tls-key", type=click.Path(path_type=Path, dir_okay=False), help="PEM of its key."),
)
defense_option = click.option(
    "--defense", metavar="NAME:X", help="What is done to Z: noise:0.3, laplace:0.3, dropout:0.5, topk:0.1, quantise:4."
)
cluster_option = click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Work as tasks of a Ray cluster, not of this machine: HOST:PORT or auto for one that this machine belongs to, "
    "local to start one here.",
)
labels_option = click.option(
    "--labels",
    default="truth",
    show_default=True,
    metavar="truth|predicted|clusters:K",
    help="Which classes the statistics are taken within.",
)
attack_options = bundle(
    "attack_flags",
    cuts=click.option(
        "--cuts", default="all", show_default=True, metavar="NAMES|zone|all", help="Which cuts to attack."
    ),
    attacks=click.option(
        "--attacks", default="standard", show_default=True, metavar="SET|NAMES", help="Which attacks."
    ),
    effort=click.option(
        "--effort",
        type=click.Choice(["small", "standard", "large"]),
        default="standard",
        show_default=True,
        help="How long an attack may train before it is called not converged.",
    ),
    knowledge=click.option(
        "--knowledge",
        type=click.Choice(["weights", "queries", "architecture", "none"]),
        default="weights",
        show_default=True,
        help="What the attacker knows of the edge half.",
    ),
    aux=click.option("--aux", metavar="DATA", help="The attacker's images, when they are others than the data's own."),
    aux_seen=click.option(
        "--aux-seen",
        type=click.Choice(["yes", "no", "unknown"]),
        default="unknown",
        show_default=True,
        help="Whether the model was trained on the attacker's images (it goes into the report).",
    ),
    aux_size=click.option(
        "--aux-size", type=Counts(), default=(), metavar="N,N,...", help="Repeat with fewer images, e.g. 300,1k,3k."
    ),
    queries=click.option(
        "--queries",
        type=Counts(),
        default="1",
        show_default=True,
        metavar="K,K,...",
        help="How often an image passes an edge that adds noise; the attacker averages.",
    ),
    classifier=click.option(
        "--classifier", metavar="MODEL[@FILE]", help="An independent classifier that looks at the reconstructions."
    ),
    embedder=click.option(
        "--embedder", metavar="MODEL[@FILE]", help="A network, such as a face recogniser, that compares identities."
    ),
    lpips=click.option("--lpips", is_flag=True, help="Measure LPIPS too; AlexNet's weights are fetched once."),
    victims=click.option(
        "--victims", type=click.IntRange(min=20), default=1000, show_default=True, help="Images scored."
    ),
)


def _check_device(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse a device on which nothing can be computed here."""
    if value != "cpu":
        import torch

        try:
            torch.zeros(1, device=value).cpu()
        except (RuntimeError, NotImplementedError, AssertionError) as error:
            raise click.BadParameter(f"{value!r} cannot be computed on here: {str(error).splitlines()[0]}") from error
    return value


run_options = bundle(
    "run_flags",
    device=click.option(
        "--device", default="cpu", show_default=True, callback=_check_device, help="cpu, cuda, cuda:1, ..."
    ),
    memory=click.option(
        "--memory", type=Memory(), default="4G", show_default=True, help="Most memory for statistics or features."
    ),
    seed=click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True),
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the record instead of a table.")
out_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run."
)


@contextlib.contextmanager
def progress_bars() -> Iterator[Progress]:
    """Bars on standard error while work goes on; where there is no terminal a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}
        told = 0.0

        def show(task: str, done: float, total: float) -> None:
            nonlocal told
            new = task not in tasks
            if new:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, total=total)
            if not console.is_terminal and (new or monotonic() - told >= QUIET):
                told = monotonic()
                console.print(f"{task} ..." if new else f"{task}: {done:,.0f} of {total:,.0f}", highlight=False)

        yield show
