"""What is demanded of a model before anything is measured on it."""

import math
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from goldcut.errors import ModelError
from goldcut.sources.body import Shape
from goldcut.sources.factory import first_line


def device_of(model: nn.Module) -> torch.device:
    """Where the model's first parameter lies; the CPU without one."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def check_shape(shape: Any) -> Shape:
    """An input shape, if it is one.

    Raises:
        ModelError: Not three positive integers.
    """
    sides = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sides) == 3 and all(isinstance(side, int) and side > 0 for side in sides):
        return sides
    raise ModelError(f"an input shape is three positive integers C,H,W and {shape} came", "Correct --input.")


def check_normalisation(mean: Any, std: Any, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std as numbers, none or one for all or one a channel.

    Raises:
        ModelError: Other lengths, or a std that cannot divide.
    """
    try:
        mean, std = tuple(map(float, mean)), tuple(map(float, std))
        sane = len(mean) == len(std) and len(mean) in (0, 1, channels)
        sane = sane and all(map(math.isfinite, mean)) and all(0 < value < math.inf for value in std)
    except (TypeError, ValueError):
        sane = False
    if not sane:
        raise ModelError(
            f"mean {mean} and std {std} do not normalise {channels} channels",
            "Give one number a channel for both, std above 0.",
        )
    return mean, std


def check_weights(body: nn.Module, spec: str) -> None:
    """Refuse weights that no figure could be trusted on.

    Raises:
        ModelError: NaN, infinite, or not float32; the first one is named.
    """
    for name, weight in body.named_parameters():
        if is_lazy(weight):
            raise ModelError(f"{spec} has no shape yet for {name}", "Run the lazy model once before handing it over.")
        if weight.dtype != torch.float32:
            raise ModelError(f"{spec} has {weight.dtype} weights ({name}), not float32", "Call model.float() first.")
        if not weight.isfinite().all():
            raise ModelError(f"{spec} has NaN or infinite weights in {name}", "Give weights that were saved sound.")
    for name, buffer in body.named_buffers():  # infinity is at home in an attention mask
        if buffer.isnan().any():
            raise ModelError(f"{spec} has NaN in the buffer {name}", "Give weights that were saved sound.")


def check_runs(model: nn.Module, shape: Shape, classes: int | None, spec: str) -> None:
    """Run two gray images through the model.

    Raises:
        ModelError: It cannot take such images, or its output has not a row an image or not a column a class.
    """
    images = torch.full((2, *shape), 0.5, device=device_of(model))
    try:
        with torch.no_grad():
            output = model(images)
    except ModelError:
        raise
    except Exception as error:
        size = ",".join(map(str, shape))
        raise ModelError(
            f"{spec} does not run on images of shape {size}: {first_line(error)}", "Give the right --input C,H,W."
        ) from error
    if output.ndim < 2 or len(output) != len(images):
        raise ModelError(
            f"{spec} gives a tensor of shape {tuple(output.shape)} for 2 images", "Return one row of outputs an image."
        )
    if classes is not None and output.shape[-1] != classes:
        raise ModelError(
            f"{spec} gives {output.shape[-1]} outputs and {classes} classes were asked for",
            "Correct --classes, or let the factory take num_classes.",
        )
