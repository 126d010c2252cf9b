"""Weights from a file, without ever running code that the file brings along."""

import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from goldcut.errors import ModelError
from goldcut.sources.factory import first_line

State = Mapping[str, Tensor]

NESTS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts put the state dict."""

WRAPPERS = ("module.", "_module.", "_orig_mod.", "model.")
"""Prefixes that DataParallel, Opacus, torch.compile and Lightning put before every name."""

SHOWN = 3


def load_checkpoint(model: nn.Module, path: Path) -> None:
    """Fill the model with the weights of a file; every name and shape must fit.

    Args:
        model: The model to fill, in place.
        path: A .safetensors file, or one of torch.save, read with weights_only=True.

    Raises:
        ModelError: The file cannot be read, needs code, or does not fit; names are listed.
    """
    own = model.state_dict()
    state = strip_wrappers(read_state(path), own)
    filled = {own[name].data_ptr() for name in state if name in own}
    missing = [name for name in own if name not in state and not _is_implied(name, own[name], filled)]
    unexpected = [name for name in state if name not in own]
    misshapen = [name for name in state if name in own and state[name].shape != own[name].shape]
    if missing or unexpected or misshapen:
        shapes = [f"{name} {_size(state[name])} instead of {_size(own[name])}" for name in misshapen]
        found = [
            _listed("missing", missing),
            _listed("unexpected", unexpected),
            _listed("of another shape", shapes),
        ]
        raise ModelError(f"{path} does not fit the model: {'; '.join(filter(None, found))}", _cure(state, misshapen))
    model.load_state_dict(dict(state), strict=False)


def read_state(path: Path) -> State:
    """The tensors of a checkpoint by name, from wherever a training script has nested them.

    Raises:
        ModelError: The file is missing, damaged, needs code, or holds no state dict.
    """
    if not path.is_file():
        raise ModelError(f"checkpoint {path} does not exist", "Check the path.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    return _find_state(content, path)


def strip_wrappers(state: State, wanted: Iterable[str]) -> State:
    """The state with the wrappers' prefixes taken off, as far as that makes more names fit.

    Example:
        >>> list(strip_wrappers({"module.fc.bias": torch.zeros(1)}, ["fc.bias"]))
        ['fc.bias']
    """
    wanted = set(wanted)
    candidates = [state]
    while prefix := next((p for p in WRAPPERS if any(name.startswith(p) for name in candidates[-1])), None):
        candidates.append({name.removeprefix(prefix): tensor for name, tensor in candidates[-1].items()})
    return max(candidates, key=lambda candidate: len(wanted & candidate.keys()))


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no safetensors file: {first_line(error)}", "Save the weights again.") from error


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code is None:
            raise _damaged(path, "it is no file of torch.save") from error
        raise ModelError(
            f"{path} needs code to be read ({code[1]}) and goldcut runs no code from a file",
            "Save the weights alone: torch.save(model.state_dict(), FILE), or use safetensors.",
        ) from error
    except Exception as error:  # torch.load raises whatever its formats raise
        raise _damaged(path, first_line(error)) from error


def _damaged(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"{path} cannot be read as weights: {reason}",
        "Give a .safetensors file, or one written by torch.save(model.state_dict(), FILE).",
    )


def _find_state(content: Any, path: Path) -> State:
    if isinstance(content, Mapping):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        for key in NESTS:
            if isinstance(content.get(key), Mapping):
                return _find_state(content[key], path)
        if tensors:
            return tensors
    came = f"the keys {', '.join(map(str, list(content)[:8]))}" if isinstance(content, Mapping) else type(content)
    raise ModelError(
        f"{path} holds no state dict: {came} came", f"Put the weights at the top or under one of {', '.join(NESTS)}."
    )


def _is_implied(name: str, tensor: Tensor, filled: set[int]) -> bool:
    """Counters that old files lack, and shared weights that a file holds under another name."""
    return name.endswith("num_batches_tracked") or (tensor.numel() > 0 and tensor.data_ptr() in filled)


def _listed(what: str, names: list[str]) -> str:
    rest = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:SHOWN])}{rest})" if names else ""


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _cure(state: State, misshapen: list[str]) -> str:
    if misshapen and state[misshapen[-1]].ndim:
        return f"If the file is of this architecture with other classes, try --classes {state[misshapen[-1]].shape[0]}."
    return "Give the architecture that the file was saved from."
