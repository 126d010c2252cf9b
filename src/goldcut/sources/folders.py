"""Labelled images from folders of files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from goldcut.errors import DataError
from goldcut.sources.body import Shape
from goldcut.sources.labelled import Images, Pack
from goldcut.sources.labels import check_classes
from goldcut.sources.pictures import open_picture
from goldcut.sources.pixels import FilePixels

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def read_folder(spec: str, place: str, shape: Shape | None, labelled: bool) -> Pack:
    """A folder with a sub-folder a class, or with train/ and test/ (or val/) that hold such sub-folders."""
    folder = Path(place)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder", "Give imagefolder:DIR with one sub-folder a class.")
    train = folder / "train"
    held_out = next((folder / name for name in ("test", "val") if _folders_in(folder / name)), None)
    if held_out is None or not _folders_in(train):
        classes = [sub.name for sub in _folders_in(folder)]
        return Pack(_read_classes(spec, folder, classes, "all", shape, labelled))
    classes = sorted({sub.name for half in (train, held_out) for sub in _folders_in(half)})
    attacker = _read_classes(spec, train, classes, "train", shape, labelled=False)
    return Pack(_read_classes(spec, held_out, classes, held_out.name, attacker.shape, labelled), attacker)


def _folders_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith("."))


def _read_classes(
    spec: str, folder: Path, classes: Sequence[str], part: str, shape: Shape | None, labelled: bool
) -> Images:
    paths: list[Path] = []
    labels: list[int] = []
    others = 0
    for label, name in enumerate(classes):
        files = [path for path in sorted((folder / name).rglob("*")) if path.is_file()]
        pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
        if not pictures and (folder / name).is_dir():
            raise DataError(f"class folder {folder / name} holds no images", f"Endings read: {' '.join(SUFFIXES)}.")
        paths += pictures
        labels += [label] * len(pictures)
        others += len(files) - len(pictures)
    if not paths:
        raise DataError(f"{folder} has no sub-folders with images", "Give a folder with one sub-folder a class.")
    if labelled:
        check_classes(np.array(labels))
    left_out = f"{others} files with other endings were left out" if others else ""
    pixels = FilePixels(paths, shape or _common_shape(paths), left_out)
    return Images(pixels, np.array(labels), classes=tuple(classes), spec=spec, part=part)


def _common_shape(paths: Iterable[Path]) -> Shape:
    """The shape of pictures that all have one size; RGB unless all are gray."""
    sizes: dict[tuple[int, int], Path] = {}
    gray = True
    for path in paths:
        with open_picture(path) as picture:
            sizes.setdefault(picture.size, path)
            gray = gray and picture.mode in ("1", "L")
    if len(sizes) > 1:
        (one, first), (two, second) = list(sizes.items())[:2]
        came = f"{first}: {one[0]}x{one[1]}, {second}: {two[0]}x{two[1]}"
        raise DataError(f"images differ in size ({came})", "Give the shape C,H,W that the model receives.")
    width, height = next(iter(sizes))
    return (1 if gray else 3), height, width
