"""The state of a training in one safetensors file, written whole or not at all; no pickle."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from goldcut.records import write_atomically


@dataclass(frozen=True)
class Checkpoint:
    """A stored training: where it was, and its tensors by "model.", "best.", "average." and "optimiser." names."""

    course: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def restore(
        self, model: nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Put model and optimiser back; returns the best state so far and the average, empty without one."""
        model.load_state_dict(self._part("model."))
        empty = optimiser.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self._part("optimiser.").items():
            place, quantity = name.split(".", 1)
            moments.setdefault(int(place), {})[quantity] = tensor
        optimiser.load_state_dict({"state": moments, "param_groups": empty["param_groups"]})
        for weight, found in optimiser.state.items():  # a fused step takes both as they lie in memory
            for quantity, value in found.items():
                if value.shape == weight.shape:
                    found[quantity] = torch.empty_like(weight).copy_(value)
        device = next(model.parameters()).device
        best, average = (
            {name: tensor.to(device) for name, tensor in self._part(part).items()} for part in ("best.", "average.")
        )
        return best, average

    def _part(self, prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}


def write_checkpoint(
    path: Path,
    key: str,
    course: Mapping[str, Any],
    model: nn.Module,
    best: Mapping[str, Tensor],
    average: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Store a training under a key that names its settings."""
    parts: list[tuple[str, Mapping[str, Tensor]]] = [
        ("model.", model.state_dict()),
        ("best.", best),
        ("average.", average),
    ]
    for place, moments in optimiser.state_dict()["state"].items():
        parts.append((f"optimiser.{place}.", moments))
    tensors = {
        prefix + name: tensor.detach().cpu().contiguous().clone()
        for prefix, part in parts
        for name, tensor in part.items()
    }
    write_atomically(path, safetensors.torch.save(tensors, metadata={"key": key, "course": json.dumps(course)}))


def read_checkpoint(path: Path, key: str) -> Checkpoint | None:
    """A stored training; None where there is none, of other settings, or damaged."""
    try:
        with safe_open(path, framework="pt") as stored:
            head = stored.metadata() or {}
            if head.get("key") != key:
                return None
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None
    return Checkpoint(json.loads(head["course"]), tensors)
