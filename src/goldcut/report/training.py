"""A training in a terminal: how good the model is, and what became of its radius at the watched cuts."""

import shlex

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldcut.records import CutRadius, EpochRow, TrainRecord
from goldcut.report.quantities import number, share


def print_training(record: TrainRecord, console: Console | None = None) -> None:
    """Accuracy with its interval, the watched cuts at the selected epoch, and how to audit the weights."""
    console = console or Console()
    if record.accuracy is None or record.selected is None:
        console.print(Text(f"Not finished: {len(record.history) - 1} of {record.epochs} epochs.", style="bold yellow"))
        return
    accuracy = share(record.accuracy, record.accuracy_low, record.accuracy_high)
    console.print(
        Text(
            f"Test accuracy {accuracy} on {record.test.images:,} images"
            f" ({record.targets}, {record.loss}{_sent(record)}).",
            style="bold",
        )
    )
    chosen = next(row for row in record.history if row.epoch == record.selected)
    console.print(
        Text(
            f"Epoch {chosen.epoch} of {record.epochs}, chosen on {record.selection.images:,} images apart:"
            f" accuracy {share(chosen.accuracy)}, output entropy {number(chosen.entropy)} nats."
        )
    )
    if chosen.cuts:
        console.print(_cuts_table(chosen))
    console.print(Text(f"Audit it: {audit_command(record)}"), soft_wrap=True)


def audit_command(record: TrainRecord) -> str:
    """The command that scans and attacks the trained weights."""
    model = record.model
    flags = ["--checkpoint", str(model.checkpoint), "--classes", str(len(record.test.classes))]
    flags += ["--input", ",".join(map(str, model.input_shape)), "--aux-seen", "yes"]
    if model.mean:
        flags += ["--mean", ",".join(map(str, model.mean)), "--std", ",".join(map(str, model.std))]
    if record.defense:
        flags += ["--defense", record.defense]
    folder = str(model.checkpoint).removesuffix(".safetensors") + "-audit"
    return shlex.join(["goldcut", "audit", model.spec, record.test.spec, *flags, "--out", folder])


def _sent(record: TrainRecord) -> str:
    """Behind which defence the model was judged."""
    return f", behind {record.defense} at {record.defended_cut}" if record.defense else ""


def _cuts_table(row: EpochRow) -> Table:
    table = Table(box=SIMPLE_HEAD, title=f"{row.images} of these images, true labels (predicted labels)")
    table.add_column("cut", no_wrap=True)
    for title in ("R_c²", "per element", "within", "standardised", "rank"):
        table.add_column(title, justify="right", no_wrap=True)
    for cut in row.cuts:
        table.add_row(Text(cut.cut), *_cells(cut))
    return table


def _cells(cut: CutRadius) -> list[str]:
    def pair(truth: float, predicted: float | None) -> str:
        return f"{truth:.2f} ({predicted:.2f})" if predicted is not None else f"{truth:.2f}"

    return [
        number(cut.radius_sq),
        number(cut.radius_sq_per_element),
        pair(cut.within_share, cut.within_share_predicted),
        pair(cut.within_share_standardised, cut.within_share_standardised_predicted),
        number(cut.effective_rank),
    ]
