"""Substitute edges whose Z is distributed as what was seen on the wire: no query, no label, no cloud half.

Xu et al.: A Stealthy Wrongdoer: Feature-Oriented Reconstruction Attack Against Split Learning (FORA), 2024. Theirs is
aligned by a maximum mean discrepancy and a critic of whole Z in 40,000 steps; these by the distribution of patches (see
wire), which takes hundreds, and there are several of them (see substitute).
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from goldcut.attacks.base import BATCH, Attack, Inverse, View, Work
from goldcut.attacks.decoder import CAPS, Decoder, at_most
from goldcut.attacks.shadow import EDGE, start_substitute
from goldcut.attacks.substitute import RATE, beside, derive, invert_through, renamed, steps_of, train_substitutes
from goldcut.attacks.wire import Wire, observe
from goldcut.fitting import Fitted, Settings, fit
from goldcut.progress import Progress, silent
from goldcut.records import Knowledge


@dataclass(frozen=True)
class Align(Attack):
    """Substitute edges aligned with the Z on the wire, and a decoder behind them.

    Attributes:
        count: Substitutes.
        edge: How each is trained, up to the rate.
        decoder: What is trained behind them.
    """

    count: int = 4
    edge: Settings = EDGE
    decoder: Decoder = field(default_factory=lambda: Decoder("S", at_most(1500)))

    @property
    def name(self) -> str:
        return "align"

    @property
    def needs(self) -> Knowledge:
        return "none"

    @property
    def work(self) -> Work:
        """As if a substitute cost what the edge costs."""
        return Work(edge_images=steps_of(self.count, self.edge, (RATE,)) * self.edge.batch, trainings=(self.decoder,))

    def at_effort(self, effort: str) -> "Align":
        edge = replace(self.edge, max_steps=round(CAPS[effort] * self.edge.max_steps))
        return replace(self, edge=edge, decoder=self.decoder.at_effort(effort))

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        wire = observe(view)

        def learn(place: int, settings: Settings, name: str) -> tuple[nn.Module, Fitted]:
            half = start_substitute(view, wire, seed=derive(seed, 21, place))
            kept = beside(checkpoint, name)
            return half, self._align(view, half, wire, settings, derive(seed, 24, place), progress, kept)

        halves, rate = train_substitutes(self.count, self.edge, (RATE,), learn)
        inverse = invert_through(
            view, halves, self.decoder, name=self.name, seed=seed, progress=progress, checkpoint=checkpoint
        )
        return replace(inverse, settings={**asdict(self), "rate": rate, **inverse.settings})

    def _align(
        self,
        view: View,
        half: nn.Module,
        wire: Wire,
        settings: Settings,
        seed: int,
        progress: Progress,
        checkpoint: Path | None,
    ) -> Fitted:
        def loss(index: Tensor, chance: torch.Generator) -> Tensor:
            return wire.distance(half(view.training.targets(index, view.device)), chance)

        def score() -> float:
            chance = torch.Generator().manual_seed(seed)
            parts = torch.split(torch.arange(len(view.selection)), BATCH)
            z = (half(view.selection.targets(part, view.device)) for part in parts)
            return sum(len(part) * float(wire.distance(part, chance)) for part in z) / len(view.selection)

        return fit(
            half,
            loss,
            score,
            samples=len(view.training),
            settings=settings,
            seed=seed,
            task=f"{self.name} edge",
            progress=renamed(progress, f"{self.name} edge"),
            checkpoint=checkpoint,
        )
