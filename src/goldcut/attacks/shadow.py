"""The shadow edge: trained through the cloud half, which whoever runs it has, without one answer of the real edge.

He, Zhang, Lee: Model Inversion Attacks Against Collaborative Inference, 2019, section 6. What is added: the moments
of Z on the wire are matched element by element, and there are several shadows (see substitute).
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from goldcut.attacks.base import BATCH, Attack, Half, Inverse, Sample, View, Work
from goldcut.attacks.decoder import CAPS, Decoder, at_most
from goldcut.attacks.substitute import RATE, RATES, beside, derive, invert_through, renamed, steps_of, train_substitutes
from goldcut.attacks.wire import Wire, observe
from goldcut.errors import AttackError
from goldcut.fitting import Fitted, Settings, fit
from goldcut.networks.encoders import build_encoder
from goldcut.progress import Progress, silent
from goldcut.records import Knowledge

EDGE = Settings(max_steps=600, batch=32, weight_decay=0.0, round_steps=50, reductions=2)
"""How a substitute edge is trained; the rate stands in substitute."""


@dataclass(frozen=True)
class Shadow(Attack):
    """Substitute edges that let the frozen cloud half classify the attacker's images, and a decoder behind them.

    Attributes:
        same: Whether the structure of the edge is known; else the substitutes follow from the shapes alone.
        matching: Weight of the moments of Z on the wire, beside the cross entropy.
        count: Substitutes.
        edge: How each is trained, up to the rate.
        decoder: What is trained behind them.
    """

    same: bool = True
    matching: float = 10.0
    count: int = 4
    edge: Settings = EDGE
    decoder: Decoder = field(default_factory=lambda: Decoder("S", at_most(1500)))

    @property
    def name(self) -> str:
        return "shadow" if self.same else "shadow-other"

    @property
    def needs(self) -> Knowledge:
        return "architecture" if self.same else "none"

    @property
    def rates(self) -> tuple[float, ...]:
        """Learning rates of the substitutes to choose from."""
        return RATES if self.same else (RATE,)

    @property
    def work(self) -> Work:
        """As if a substitute of another structure cost what the edge costs."""
        return Work(
            model_images=steps_of(self.count, self.edge, self.rates) * self.edge.batch, trainings=(self.decoder,)
        )

    def at_effort(self, effort: str) -> "Shadow":
        edge = replace(self.edge, max_steps=round(CAPS[effort] * self.edge.max_steps))
        return replace(self, edge=edge, decoder=self.decoder.at_effort(effort))

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        wire, cloud = observe(view), self._cloud(view)

        def learn(place: int, settings: Settings, name: str) -> tuple[nn.Module, Fitted]:
            half = self._start(view, wire, seed=derive(seed, 21, place))
            kept = beside(checkpoint, name)
            return half, self._shadow(view, half, cloud, wire, settings, derive(seed, 24, place), progress, kept)

        halves, rate = train_substitutes(self.count, self.edge, self.rates, learn)
        inverse = invert_through(
            view, halves, self.decoder, name=self.name, seed=seed, progress=progress, checkpoint=checkpoint
        )
        return replace(inverse, settings={**asdict(self), "rate": rate, **inverse.settings})

    def _start(self, view: View, wire: Wire, *, seed: int) -> nn.Module:
        if not self.same:
            return start_substitute(view, wire, seed=seed)
        if view.blank is None:
            raise AttackError("the structure of the edge is not known", "Choose shadow-other, which needs none.")
        return view.blank(seed)

    def _cloud(self, view: View) -> Half:
        """The cloud half, where there is something to train through it.

        Raises:
            AttackError: There is no cloud half, or no label of the attacker's images that it has a logit for.
        """
        if view.cloud is None:
            raise AttackError("there is no cloud half to train through", "Choose align, which needs none.")
        if view.training.classes is None or view.selection.classes is None:
            raise AttackError(
                "the attacker's images have no labels of the victims' classes",
                "Give labelled auxiliary images, or choose align, which needs no labels.",
            )
        assert view.observed is not None
        logits = view.cloud(view.observed[:1].to(view.device)).flatten(1).shape[1]
        most = max(int(view.training.classes.max()), int(view.selection.classes.max()))
        if most >= logits:
            raise AttackError(
                f"the attacker's images have class {most} and the cloud half has {logits} logits",
                "Choose align, which needs no labels.",
            )
        return view.cloud

    def _shadow(
        self,
        view: View,
        half: nn.Module,
        cloud: Half,
        wire: Wire,
        settings: Settings,
        seed: int,
        progress: Progress,
        checkpoint: Path | None,
    ) -> Fitted:
        def objective(sample: Sample, index: Tensor) -> Tensor:
            assert sample.classes is not None
            z = half(sample.targets(index, view.device))
            classes = torch.from_numpy(sample.classes)[index].to(view.device)
            return functional.cross_entropy(cloud(z).flatten(1), classes) + self.matching * wire.moments(z)

        def score() -> float:
            parts = torch.split(torch.arange(len(view.selection)), BATCH)
            return sum(len(part) * float(objective(view.selection, part)) for part in parts) / len(view.selection)

        return fit(
            half,
            lambda index, _: objective(view.training, index),
            score,
            samples=len(view.training),
            settings=settings,
            seed=seed,
            task=f"{self.name} edge",
            progress=renamed(progress, f"{self.name} edge"),
            checkpoint=checkpoint,
        )


def start_substitute(view: View, wire: Wire, *, seed: int) -> nn.Module:
    """A substitute of a structure of its own, at the scale of Z on the wire."""
    assert view.observed is not None
    positive = float(view.observed.min()) >= 0
    encoder = build_encoder(view.image_shape, view.z_shape, view.kind, positive=positive, seed=seed).to(view.device)
    spread = wire.std.square().mean().sqrt().clamp_min(torch.finfo(torch.float32).tiny)
    return _Scaled(encoder, spread, torch.zeros_like(wire.mean) if positive else wire.mean)


class _Scaled(nn.Module):
    """An encoder whose outputs of unit order become Z."""

    def __init__(self, encoder: nn.Module, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, images: Tensor) -> Tensor:
        z: Tensor = self.encoder(images) * self.scale + self.shift
        return z
