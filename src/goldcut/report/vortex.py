"""The page "vortex": what became of the class radius while models trained, one curve a label distribution."""

from collections.abc import Callable, Sequence
from pathlib import Path

from goldcut import records
from goldcut.errors import RunError
from goldcut.records import CutRadius, EpochRow, TrainRecord
from goldcut.report.figures import (
    BLUE,
    GREEN,
    OLIVE,
    ORANGE,
    PINK,
    PURPLE,
    RED,
    TEAL,
    Chart,
    figure,
    line,
    log_axis,
    note,
    shares_axis,
)
from goldcut.report.quantities import MISSING, known, number, percent, share
from goldcut.report.shell import fill

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, TEAL, PINK, OLIVE)
EPOCHS = {"title": {"text": "epoch"}, "zeroline": False}
OF_CUTS = {
    "radius_sq": ("Class radius R²", "Moves with the scale of Z."),
    "within_share_standardised": ("Within-class share, standardised", "Free of the scale of every channel."),
    "effective_rank": ("Effective rank of Z", "In how many directions Z varies."),
}


def write_vortex(paths: Sequence[Path], out: Path) -> Path:
    """Write one page from the records of trainings (CKPT.json, finished or not).

    Raises:
        RunError: One cannot be read, or they are of different models or test images.
    """
    trainings = [records.load(path, TrainRecord) for path in paths]
    for path, training in zip(paths, trainings, strict=True):
        for what, ours, first in (
            ("model", training.model.spec, trainings[0].model.spec),
            ("test images", training.test.sha256[:12], trainings[0].test.sha256[:12]),
        ):
            if ours != first:
                raise RunError(
                    f"{path} has the {what} {ours}, {paths[0]} has {first}",
                    "Compare trainings of one model on one data set.",
                )
    records.write_atomically(out, render_vortex([path.stem for path in paths], trainings).encode())
    return out


def render_vortex(names: Sequence[str], trainings: Sequence[TrainRecord]) -> str:
    """The page as text."""
    titles = _titles(names, trainings)
    sections = {"outputs": _output_charts(titles, trainings)}
    cuts = dict.fromkeys(cut.cut for one in trainings for row in one.history for cut in row.cuts)
    groups = [(cut, _cut_charts(place, cut, titles, trainings)) for place, cut in enumerate(cuts)]
    every = [*sections["outputs"], *(chart for _, charts in groups for chart in charts)]
    return fill(
        "vortex.html",
        every,
        subject=trainings[0],
        summary=[_summary_row(title, one) for title, one in zip(titles, trainings, strict=True)],
        outputs=sections["outputs"],
        groups=groups,
        splits=[row for title, one in zip(titles, trainings, strict=True) for row in _split_rows(title, one)],
    )


def _titles(names: Sequence[str], trainings: Sequence[TrainRecord]) -> list[str]:
    """Targets and loss of each; the file's name as well where two are the same."""
    short = [one.targets if one.loss == "ce" else f"{one.targets}, {one.loss}" for one in trainings]
    return [f"{title} ({name})" if short.count(title) > 1 else title for title, name in zip(short, names, strict=True)]


def _output_charts(titles: Sequence[str], trainings: Sequence[TrainRecord]) -> list[Chart]:
    accuracy = _over_epochs(
        "accuracy", "Accuracy on the selection images", "", titles, trainings, lambda row: row.accuracy, percent
    )
    entropy = _over_epochs(
        "entropy", "Entropy of the output, nats", "", titles, trainings, lambda row: row.entropy, number
    )
    return [accuracy, entropy]


def _cut_charts(place: int, cut: str, titles: Sequence[str], trainings: Sequence[TrainRecord]) -> list[Chart]:
    charts = []
    for field, (title, caption) in OF_CUTS.items():

        def read(row: EpochRow, field: str = field) -> float | None:
            found: CutRadius | None = next((one for one in row.cuts if one.cut == cut), None)
            value: float | None = getattr(found, field, None)
            return value

        shown = percent if "share" in field else number
        charts.append(_over_epochs(f"cut{place}-{field}", title, caption, titles, trainings, read, shown))
    return charts


def _over_epochs(
    name: str,
    title: str,
    caption: str,
    titles: Sequence[str],
    trainings: Sequence[TrainRecord],
    read: Callable[[EpochRow], float | None],
    text: Callable[[float | None], str],
) -> Chart:
    """One curve a training."""
    traces, told, every = [], [], []
    for turn, (label, one) in enumerate(zip(titles, trainings, strict=True)):
        values = [read(row) for row in one.history]
        notes = [note(label, f"epoch {row.epoch}: {text(v)}") for row, v in zip(one.history, values, strict=True)]
        epochs = [row.epoch for row in one.history]
        traces.append(line(epochs, values, label, COLOURS[turn % len(COLOURS)], notes=notes))
        every += values
        told.append(f"{label} {text(values[-1]) if values else MISSING}")
    y = shares_axis("") if text is percent else log_axis("log", every, number)
    return Chart(name, title, caption, f"At the end: {'; '.join(told)}.", figure(traces, dict(EPOCHS), y), "half")


def _summary_row(title: str, training: TrainRecord) -> list[str]:
    done = (
        share(training.accuracy, training.accuracy_low, training.accuracy_high) if training.complete else "unfinished"
    )
    chosen = str(training.selected) if training.selected else MISSING
    return [title, done, chosen, f"{training.history[-1].epoch if training.history else 0} of {training.epochs}"]


def _split_rows(title: str, training: TrainRecord) -> list[list[str]]:
    """A row for each cut and chosen step; the causes as shares of R_c^2 before the step."""
    rows = []
    for one in training.splits:
        scale = one.radius_sq
        causes = [
            one.pull,
            one.interference,
            one.second_order,
            one.pull + one.interference + one.second_order,
            one.change,
        ]
        told = [f"{cause / scale:+.2e}" if known(scale) and scale > 0 else MISSING for cause in causes]
        rows.append([title, one.cut, f"{one.step:,}", number(one.radius_sq), *told, percent(one.past_flip)])
    return rows
