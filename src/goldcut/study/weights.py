"""The files of a training: the weights, the record beside them, and the state of an unfinished one."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from goldcut import records
from goldcut.errors import RunError
from goldcut.records import TrainRecord, write_atomically
from goldcut.sources.models import Normalised


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of the user's model itself, on the CPU; shared tensors are written under each of their names."""
    body = model.body if isinstance(model, Normalised) else model
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in body.state_dict().items()}


@dataclass(frozen=True)
class Files:
    """Where a training is written.

    Attributes:
        weights: The selected weights, a .safetensors file.
    """

    weights: Path

    @property
    def record(self) -> Path:
        """The record beside them."""
        return self.weights.with_suffix(".json")

    @property
    def state(self) -> Path:
        """The state of an unfinished training."""
        return self.weights.with_suffix(".partial.safetensors")

    def check(self) -> None:
        """See, before any long work, that they can be written.

        Raises:
            RunError: They cannot.
        """
        if self.weights.suffix != ".safetensors":
            raise RunError(
                f"weights are written as safetensors and {self.weights} is none",
                f"Give --out {self.weights.stem}.safetensors.",
            )
        probe = self.weights.with_name(f".{self.weights.name}.writable")
        write_atomically(probe, b"")
        with contextlib.suppress(OSError):
            probe.unlink()

    def begun(self, settings: Mapping[str, Any], resume: bool) -> TrainRecord | None:
        """The record of this very training where it was begun before; None where it starts.

        Args:
            settings: All that the weights depend on.
            resume: Whether there must be something to go on from.

        Raises:
            RunError: The files are of another training, or there is nothing to go on from.
        """
        found = self._found(settings)
        if resume and found is None:
            raise RunError(f"there is no {self.state}, so nothing to resume", "Leave --resume out to start anew.")
        return found

    def _found(self, settings: Mapping[str, Any]) -> TrainRecord | None:
        if not self.record.exists():
            if self.weights.exists():
                raise RunError(
                    f"{self.weights} exists and has no record of its training beside it", "Choose another --out."
                )
            return None
        record = records.load(self.record, TrainRecord)
        for key in sorted(settings.keys() | record.settings.keys()):
            then, now = record.settings.get(key), settings.get(key)
            if then != now:
                raise RunError(
                    f"{self.record} is of a training with {key} = {_short(then)}, now it is {_short(now)}",
                    "Use the same flags to go on, or another --out.",
                )
        kept = self.weights if record.complete else self.state
        return record if kept.exists() else None


def _short(value: object) -> str:
    """A value as it is, a hash by its beginning."""
    text = str(value)
    return text[:12] if len(text) == 64 else text
