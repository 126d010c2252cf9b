"""Finished work on disk, each piece whole or not at all, so that an interrupted run goes on from there."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from goldcut.records import AttackResult, Inferred, Scores, to_json, write_atomically

Kept = TypeVar("Kept", AttackResult, Scores, tuple[Inferred, ...])


@dataclass(frozen=True)
class Finished:
    """The folder of finished work of one run.

    Attributes:
        folder: Where it lies.
        run: What the work depends on beside the attack and the cut: seed, images, model.
    """

    folder: Path
    run: str

    def key(self, *settings: object) -> str:
        """Hash of everything that a piece of work depends on."""
        return hashlib.sha256(repr((self.run, settings)).encode()).hexdigest()

    def path(self, stem: str, suffix: str) -> Path:
        """A file of a piece of work, such as 003-decoder-S.json."""
        return self.folder / f"{stem}{suffix}"

    def write(self, stem: str, key: str, kept: Kept, arrays: Mapping[str, Any]) -> None:
        """Keep a result and its arrays; the result comes last, so that it vouches for them."""
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)
        write_atomically(self.path(stem, ".npz"), packed.getvalue())
        write_atomically(self.path(stem, ".json"), to_json({"key": key, "result": kept}))

    def has(self, stem: str, key: str) -> bool:
        """Whether a piece of work is kept that depends on just this."""
        try:
            return bool(json.loads(self.path(stem, ".json").read_bytes())["key"] == key)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def read(self, stem: str, key: str, kind: type[Kept]) -> tuple[Kept, dict[str, np.ndarray[Any, Any]]] | None:
        """A kept result and its arrays; None where there is none, of other settings, or damaged."""
        try:
            stored: dict[str, Any] = json.loads(self.path(stem, ".json").read_bytes())
            if stored["key"] != key:
                return None
            result = msgspec.convert(stored["result"], kind)
            with np.load(self.path(stem, ".npz"), allow_pickle=False) as packed:
                return result, dict(packed)
        except (OSError, ValueError, KeyError, TypeError, msgspec.ValidationError):
            return None
