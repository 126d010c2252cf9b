"""An interrupted pass goes on where it was: its state in one safetensors file, replaced whole."""

import hashlib
import json
import time
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from goldcut.records import write_atomically

SECONDS = 30.0
"""Least time between two writes."""


def fingerprint(*parts: object) -> str:
    """One hash over values that JSON can hold, bytes included."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


class Bookmark:
    """Where a pass has come to, on disk; without a path it remembers nothing.

    Args:
        path: The file; a leftover with another key is written over.
        key: Fingerprint of everything that the state depends on.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self.path = path
        self.key = key
        self._written = time.monotonic()

    def restore(self, tensors: dict[str, Tensor]) -> int:
        """Write the kept state into `tensors` and return how many images it holds; 0 without any."""
        if self.path is None or not self.path.exists():
            return 0
        try:
            with safetensors.safe_open(self.path, framework="pt") as kept:
                head = kept.metadata() or {}
                if head.get("key") != self.key:
                    return 0
                for name, tensor in tensors.items():
                    tensor.copy_(kept.get_tensor(name))
                return int(head["done"])
        except safetensors.SafetensorError:
            return 0

    def offer(self, tensors: dict[str, Tensor], done: int) -> None:
        """Keep the state, unless the last write is too fresh."""
        if time.monotonic() - self._written >= SECONDS:
            self.keep(tensors, done)

    def keep(self, tensors: dict[str, Tensor], done: int) -> None:
        """Keep the state."""
        if self.path is not None:
            head = {"key": self.key, "done": str(done)}
            plain = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
            write_atomically(self.path, safetensors.torch.save(plain, head))
            self._written = time.monotonic()

    def remove(self) -> None:
        """Forget it: the pass is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
