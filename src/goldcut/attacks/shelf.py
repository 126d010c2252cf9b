"""Work that depends on the attacker's images alone, done once and used at every cut."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Kept = TypeVar("Kept")


@dataclass(frozen=True, eq=False)
class Shelf:
    """What attacks at different cuts share, such as a generative model of the attacker's images.

    Attributes:
        folder: Where such work may write its checkpoints; None where nothing is kept on disk.
    """

    folder: Path | None = None
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self, key: Hashable, make: Callable[[Path | None], Kept]) -> Kept:
        """What is kept under a key; the first to ask makes it while the others wait.

        Args:
            key: Everything that the work depends on beside the attacker's images.
            make: Given the folder for checkpoints.
        """
        with self._turn:
            if key not in self._kept:
                self._kept[key] = make(self.folder)
            kept: Kept = self._kept[key]
            return kept
