"""What a library is asked for and what it gives: a bare model and what its metadata say about the input."""

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from goldcut.errors import GoldcutError, MissingExtra, ModelError
from goldcut.sources.factory import first_line

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        name: What stands behind the library's prefix; the whole spec of a file.
        input_shape: (C, H, W) that the user gave; the metadata's otherwise.
        classes: Number of logits that the user gave.
        weights: Name of the library's pretrained weights.
        images_shape: (C, H, W) of the images at hand, for a model that does not say which ones it takes.
        bare: Whether the weights will come from a checkpoint, so that the library's are not needed.
    """

    name: str
    input_shape: Shape | None = None
    classes: int | None = None
    weights: str | None = None
    images_shape: Shape | None = None
    bare: bool = False


@dataclass(frozen=True)
class Body:
    """A model as its library builds it, and what the library says about its input.

    Attributes:
        module: Takes normalised images.
        input_shape: (C, H, W); None when nobody says it.
        mean: Per channel, in units of images in [0, 1]; empty when nobody says it.
        std: Likewise.
        weights: Which pretrained weights are inside; None for random ones.
    """

    module: nn.Module
    input_shape: Shape | None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    weights: str | None = None


def import_extra(package: str, extra: str) -> Any:
    """A package that an extra of goldcut brings.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtra(package.partition(".")[0], extra) from error


@contextlib.contextmanager
def reported(library: str, name: str) -> Iterator[None]:
    """Whatever a library raises while it builds, as one ModelError: no fit, or out of reach."""
    try:
        yield
    except GoldcutError:
        raise
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{library} cannot build {name}: {first_line(error)}", "Check --input and --classes."
        ) from error
    except Exception as error:
        raise ModelError(
            f"{library} cannot fetch {name}: {first_line(error)}",
            "Pretrained weights need the network or the library's cache; --checkpoint FILE needs neither.",
        ) from error


def require_head(request: Request, classes: int) -> None:
    """Refuse another number of classes than the pretrained weights have: the head would be a random one.

    Raises:
        ModelError: Both were asked for.
    """
    if request.weights is not None and request.classes not in (None, classes):
        raise ModelError(
            f"the pretrained weights of {request.name} have {classes} classes and {request.classes} were asked for",
            "Leave --classes out, or give a fine-tuned --checkpoint instead of --weights.",
        )


def refuse_weights(request: Request) -> None:
    """Refuse --weights for a source that has none.

    Raises:
        ModelError: They were asked for.
    """
    if request.weights is not None:
        raise ModelError(f"{request.name} has no pretrained weights {request.weights!r}", "Give --checkpoint FILE.")


def per_channel(values: Any, channels: int) -> tuple[float, ...]:
    """One value a channel; those of a colour model are averaged where the channels are others.

    Example:
        >>> per_channel((0.4, 0.5, 0.6), 1)
        (0.5,)
    """
    values = tuple(float(value) for value in values)
    return values if len(values) == channels else (sum(values) / len(values),) * channels
