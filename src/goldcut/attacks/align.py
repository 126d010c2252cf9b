"""Substitute edges whose Z is distributed as what was seen on the wire: no query, no label, no cloud half.

Xu et al.: A Stealthy Wrongdoer: Feature-Oriented Reconstruction Attack Against Split Learning (FORA), 2024. The
distance between the distributions is the multi-kernel maximum mean discrepancy (Gretton et al.: Optimal Kernel
Choice for Large-Scale Two-Sample Tests, 2012) and a critic with a gradient penalty (Gulrajani et al.: Improved
Training of Wasserstein GANs, 2017). What is added: the moments of Z element by element, and several substitutes.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from goldcut.attacks.base import BATCH, Attack, Inverse, View
from goldcut.attacks.decoder import CAPS, Decoder, at_most
from goldcut.attacks.shadow import start_substitute
from goldcut.attacks.substitute import Moments, beside, derive, invert_through, observe, renamed
from goldcut.attacks.transforms import fit_transform
from goldcut.fitting import Fitted, Settings, fit
from goldcut.networks.critics import build_critic
from goldcut.progress import Progress, silent
from goldcut.records import Knowledge

PENALTY = 10.0
"""Weight of the gradient penalty (Gulrajani et al. 2017)."""

BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Widths of the kernels, in mean squared distances (Long et al.: Learning Transferable Features, 2015)."""

EDGE = Settings(max_steps=1500, rate=1e-3, weight_decay=0.0, round_steps=50, reductions=2)
"""How a substitute edge and its critic are trained."""


@dataclass(frozen=True)
class Align(Attack):
    """Substitute edges aligned with the Z on the wire, and a decoder behind them.

    Attributes:
        moments: Weight of the moments of Z.
        discrepancy: Weight of the maximum mean discrepancy.
        critic: Weight of the critic.
        count: Substitutes.
        edge: How each is trained.
        decoder: What is trained behind them.
    """

    moments: float = 10.0
    discrepancy: float = 1.0
    critic: float = 0.1
    count: int = 4
    edge: Settings = EDGE
    decoder: Decoder = field(default_factory=lambda: Decoder("S", at_most(3000)))

    @property
    def name(self) -> str:
        return "align"

    @property
    def needs(self) -> Knowledge:
        return "none"

    def at_effort(self, effort: str) -> "Align":
        edge = replace(self.edge, max_steps=round(CAPS[effort] * self.edge.max_steps))
        return replace(self, edge=edge, decoder=self.decoder.at_effort(effort))

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        moments = observe(view)
        halves: list[tuple[nn.Module, Fitted]] = []
        for place in range(self.count):
            half = start_substitute(view, moments, seed=derive(seed, 21, place))
            kept = beside(checkpoint, f"edge{place}")
            halves.append((half, self._align(view, half, moments, derive(seed, 24, place), progress, kept)))
        inverse = invert_through(
            view, halves, self.decoder, name=self.name, seed=seed, progress=progress, checkpoint=checkpoint
        )
        return replace(inverse, settings={**asdict(self), **inverse.settings})

    def _align(
        self, view: View, half: nn.Module, moments: Moments, seed: int, progress: Progress, checkpoint: Path | None
    ) -> Fitted:
        assert view.observed is not None
        observed = view.observed
        found = fit_transform("standardise", observed, view.kind)
        assert found is not None
        scale = found.to(view.device)
        critic = build_critic(view.z_shape, view.kind, seed=derive(seed, 25)).to(view.device)

        def loss(index: Tensor, chance: torch.Generator) -> Tensor:
            rows = torch.randint(len(observed), (len(index),), generator=chance)
            z = half(view.training.targets(index, view.device))
            made, real = scale(z), scale(observed[rows].to(view.device))
            apart = self.moments * moments.distance(z) + self.discrepancy * discrepancy(made, real)
            if not self.critic:
                return apart
            judged = critic(turned(made, self.critic)).mean() - critic(real).mean()
            share = torch.rand(len(made), generator=chance).to(view.device).reshape(-1, *[1] * (made.ndim - 1))
            total: Tensor = apart + judged + PENALTY * slope_penalty(critic, share * made.detach() + (1 - share) * real)
            return total

        def score() -> float:
            total = 0.0
            for part in torch.split(torch.arange(len(view.selection)), BATCH):
                z = half(view.selection.targets(part, view.device))
                real = scale(observed[: len(part)].to(view.device))
                apart = self.moments * moments.distance(z) + self.discrepancy * discrepancy(scale(z), real)
                total += len(part) * float(apart)
            return total / len(view.selection)

        return fit(
            nn.ModuleDict({"edge": half, "critic": critic}),
            loss,
            score,
            samples=len(view.training),
            settings=self.edge,
            seed=seed,
            task=f"{self.name} edge",
            progress=renamed(progress, f"{self.name} edge"),
            checkpoint=checkpoint,
        )


def discrepancy(made: Float[Tensor, "m ..."], real: Float[Tensor, "n ..."]) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy of two samples under the mean of Gaussian kernels; biased, so never negative."""
    both = torch.cat([made, real]).flatten(1)
    squares = both.square().sum(1)
    apart = (squares[:, None] + squares[None, :] - 2 * both @ both.T).clamp_min(0)
    width = apart.detach().mean().clamp_min(torch.finfo(torch.float32).tiny)
    kernel = torch.stack([torch.exp(-apart / (share * width)) for share in BANDWIDTHS]).mean(0)
    m = len(made)
    return kernel[:m, :m].mean() + kernel[m:, m:].mean() - 2 * kernel[:m, m:].mean()


def slope_penalty(critic: Callable[[Tensor], Tensor], between: Float[Tensor, "b ..."]) -> Float[Tensor, ""]:
    """Squared difference of the critic's slope from 1 (Gulrajani et al. 2017, equation 3, without its weight)."""
    between = between.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty: Tensor = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


class _Turned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, z: Tensor, weight: float) -> Tensor:
        ctx.weight = weight  # type: ignore[attr-defined]
        return z.view_as(z)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * grads[0], None  # type: ignore[attr-defined]


def turned(z: Float[Tensor, "b ..."], weight: float) -> Float[Tensor, "b ..."]:
    """The same values, whose gradient is turned round and weighted.

    So one loss serves both sides of the game (Ganin, Lempitsky: Unsupervised Domain Adaptation by Backpropagation,
    2015): the critic lowers what it says of substitute Z, and the substitute raises it.
    """
    made: Tensor = _Turned.apply(z, weight)
    return made
