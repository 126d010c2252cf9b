"""The picture grid: victims, then what the strongest attack makes of them cut by cut."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from goldcut.errors import RunError
from goldcut.records import AttackRecord, ScanRecord
from goldcut.report.quantities import share

SHOWN = 8
"""Victims in the grid: the first of the run, not chosen by hand."""


@dataclass(frozen=True)
class Picture:
    """An image for the page: its data URI and what it shows."""

    source: str
    alt: str


@dataclass(frozen=True)
class Strip:
    """A row of the grid.

    Attributes:
        title: The cut, or "victims".
        detail: The attack and what it recovers.
        pictures: One for each victim.
        recommended: Whether it is the recommended cut.
    """

    title: str
    detail: str
    pictures: tuple[Picture, ...]
    recommended: bool = False


def read_gallery(path: Path, scan: ScanRecord, attack: AttackRecord) -> tuple[Strip, ...]:
    """Rows of the grid in the order of the network; empty when the run has no pictures.

    Raises:
        RunError: The file is damaged.
    """
    if not path.exists():
        return ()
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            victims, labels = stored["victims"][:SHOWN], stored["labels"][:SHOWN]
            names = [str(name) for name in stored["names"]]
            made_by = [str(name) for name in stored["attacks"]]
            pictures = {name: stored[f"recon__{turn}"][:SHOWN] for turn, name in enumerate(names)}
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise RunError(f"{path} is damaged: {error}", "Delete it and run `goldcut attack` again.") from error
    called = [_class_name(scan, int(label)) for label in labels]
    told = {(result.cut, result.attack): result for result in attack.results}
    strips = [Strip("Victims", "what the device sees", _pictures(victims, "victim", called))]
    by = dict(zip(names, made_by, strict=True))
    for cut in scan.cuts:
        if cut.name in pictures:
            result = told.get((cut.name, by[cut.name]))
            figure = (
                f"{share(result.recovered, result.recovered_low, result.recovered_high)} recovered" if result else ""
            )
            detail = ", ".join(filter(None, [by[cut.name], figure]))
            shown = _pictures(pictures[cut.name], f"reconstruction at {cut.name} of victim", called)
            strips.append(Strip(cut.name, detail, shown, cut.name == scan.recommended))
    return tuple(strips)


def _pictures(images: np.ndarray, what: str, called: Sequence[str]) -> tuple[Picture, ...]:
    return tuple(
        Picture(_data_uri(image), f"{what} {turn}: {name}")
        for turn, (image, name) in enumerate(zip(images, called, strict=True), 1)
    )


def _class_name(scan: ScanRecord, label: int) -> str:
    names = scan.data.classes
    return names[label] if 0 <= label < len(names) else f"class {label}"


def _data_uri(image: np.ndarray) -> str:
    pixels = image[..., 0] if image.shape[-1] == 1 else image[..., :3]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8)).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
