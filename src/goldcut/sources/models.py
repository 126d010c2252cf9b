"""A model from a spec or from Python: in eval mode, on images in [0, 1], checked, hashed and recorded."""

import contextlib
import copy
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from goldcut.errors import ModelError
from goldcut.records import ModelRecord
from goldcut.sources.body import Body, Request, Shape
from goldcut.sources.checkpoints import load_checkpoint
from goldcut.sources.checks import check_normalisation, check_runs, check_shape, check_weights, device_of
from goldcut.sources.factory import first_line, is_file_spec
from goldcut.sources.libraries import BUILDERS, build_file
from goldcut.sources.logits import choose_logits

SEED = 0
"""Random weights are drawn from this seed, so that the hash of an untrained model is the same in every run."""


class Normalised(nn.Module):
    """A model that takes images in [0, 1], with its normalisation inside and one tensor as output.

    Args:
        body: The model as its authors built it.
        mean: Subtracted per channel; empty for a body that takes images as they are.
        std: Divides per channel; as long as mean.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()) -> None:
        super().__init__()
        self.body = body
        self.normalises = bool(mean)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(-1, 1, 1))

    def forward(self, images: Float[Tensor, "b c h w"]) -> Tensor:
        """The body's output on normalised images; of several outputs the logits."""
        if self.normalises:
            images = (images - self.mean) / self.std
        return choose_logits(self.body(images))


@dataclass(frozen=True)
class Target:
    """The model under audit.

    Attributes:
        model: In eval mode, takes float32 images in [0, 1].
        record: Where it came from, and its hash.
    """

    model: nn.Module
    record: ModelRecord

    @property
    def input_shape(self) -> Shape:
        """(C, H, W) of the images."""
        return self.record.input_shape


def load_model(
    spec: str,
    *,
    input_shape: Shape | None = None,
    checkpoint: Path | None = None,
    weights: str | None = None,
    classes: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    images_shape: Shape | None = None,
) -> Target:
    """The model that a spec names.

    Args:
        spec: "torchvision:NAME", "timm:NAME", "hf:PATH_OR_ID", "goldcut:NAME" or "file.py:factory".
        input_shape: (C, H, W), instead of what the library's metadata or the module's attribute say.
        checkpoint: File of weights, see `load_checkpoint`.
        weights: Name of the library's pretrained weights. Without either, weights are random with a fixed seed.
        classes: Number of logits.
        mean: Normalisation per channel, instead of the metadata's; () for none.
        std: Likewise.
        images_shape: (C, H, W) of the images at hand, for the module of a file that does not say which ones it takes.

    Raises:
        ModelError: No such model, the weights do not fit, or it does not run on such images.
        MissingExtra: The library is not installed.
    """
    if checkpoint is not None and weights is not None:
        raise ModelError("both a checkpoint and pretrained weights were given", "Give one of them.")
    if classes is not None and classes < 2:
        raise ModelError(f"a classifier has 2 classes or more and {classes} were asked for", "Correct --classes.")
    if input_shape is not None:
        check_shape(input_shape)
    with _fixed_seed(SEED):
        bare = checkpoint is not None
        body = _build(Request(spec, input_shape, classes, weights, images_shape, bare))
    if checkpoint is not None:
        load_checkpoint(body.module, checkpoint)
    if body.input_shape is None:
        raise ModelError(f"nothing says which images {spec} takes", "Give --input C,H,W.")
    return _make_target(
        body.module,
        body.input_shape,
        body.mean if mean is None else mean,
        body.std if std is None else std,
        spec=spec,
        classes=classes,
        checkpoint=checkpoint,
        weights=body.weights,
    )


def adopt_model(
    model: nn.Module,
    input_shape: Shape,
    *,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    spec: str | None = None,
) -> Target:
    """A live module as a target: a copy as it is now, so that the caller's own stays untouched.

    Args:
        model: Any module that takes a batch of images.
        input_shape: (C, H, W).
        mean: Subtracted from images in [0, 1] before the model; empty when it takes those as they are.
        std: Divides after that.
        spec: What the record calls it; "python:<class name>" otherwise.

    Raises:
        ModelError: It cannot be copied, or does not run on such images.

    Example:
        >>> adopt_model(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), (1, 8, 8)).record.spec
        'python:Sequential'
    """
    spec = spec or f"python:{type(model).__name__}"
    if isinstance(model, Normalised) and not mean:
        mean, std, model = tuple(model.mean.flatten().tolist()), tuple(model.std.flatten().tolist()), model.body
    try:
        body = copy.deepcopy(model)
    except Exception as error:
        raise ModelError(
            f"{spec} cannot be copied: {first_line(error)}", "Detach tensors kept as attributes."
        ) from error
    return _make_target(body, input_shape, mean, std, spec=spec)


def hash_model(model: nn.Module) -> str:
    """SHA-256 over sorted names, dtypes, shapes and bytes of the state dict; the device does not matter."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if isinstance(value, Tensor):
            flat = value.detach().cpu().reshape(-1).clone(memory_format=torch.contiguous_format)
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _build(request: Request) -> Body:
    """The model of a request whose name is still the whole spec."""
    if is_file_spec(request.name):
        return build_file(request)
    library, _, name = request.name.partition(":")
    if library not in BUILDERS or not name:
        kinds = ", ".join(f"{known}:NAME" for known in BUILDERS)
        raise ModelError(f"{request.name!r} names no model", f"Write {kinds} or path/file.py:factory.")
    return BUILDERS[library](replace(request, name=name))


def _make_target(
    body: nn.Module,
    input_shape: Any,
    mean: Any,
    std: Any,
    *,
    spec: str,
    classes: int | None = None,
    checkpoint: Path | None = None,
    weights: str | None = None,
) -> Target:
    shape = check_shape(input_shape)
    mean, std = check_normalisation(mean, std, shape[0])
    check_weights(body, spec)
    model = Normalised(body, mean, std).to(device_of(body)).eval()
    with _fixed_seed(SEED):  # a model may draw numbers
        check_runs(model, shape, classes, spec)
    record = ModelRecord(
        spec=spec,
        checkpoint=None if checkpoint is None else str(checkpoint),
        weights=weights,
        classes=classes,
        input_shape=shape,
        mean=mean,
        std=std,
        sha256=hash_model(model),
    )
    return Target(model, record)


@contextlib.contextmanager
def _fixed_seed(seed: int) -> Iterator[None]:
    """Draw from the seed; the global generators of torch, numpy and Python are left as they were."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
