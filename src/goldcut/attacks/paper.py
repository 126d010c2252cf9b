"""The paper's own attackers: a deconvolution decoder, plain or enhanced, on Z as it is or enriched.

Liu et al.: Partitioning for Intrinsic Model Inversion Resistance in Collaborative Inference, 2026. Their scripts train
with Adam (betas 0.5 and 0.999, amsgrad, rate 0.01, batches of 128, 100 epochs), halve the rate when the error on the
*test* images is flat and keep the best epoch of those same images. Here they are all trained alike, by AdamW until the
attacker's selection images are flat, and Z is standardised first. So a difference between them is one of networks, and
no victim chooses anything; `benchmarks/parity.py` trains with the published settings.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from goldcut.attacks.base import Attack, Inverse, View
from goldcut.attacks.decoder import CAPS, learn_inverse
from goldcut.attacks.transforms import choose_transform
from goldcut.fitting import Settings
from goldcut.networks.deconvolution import WIDTH, build_deconvolution
from goldcut.progress import Progress, silent

RATE = 1e-2
"""First learning rate; that of the scripts, which batch norm bears."""


@dataclass(frozen=True)
class Deconvolution(Attack):
    """The paper's inversion network, generated from the cut's shape.

    Attributes:
        enhancement: What stands between its blocks: one of networks.deconvolution.ENHANCEMENTS.
        features: What is done to Z first: one of networks.enrichment.ENRICHMENTS.
        width: Channels at the image's grid; 64 in the scripts.
        settings: How it is trained.
    """

    enhancement: str = "none"
    features: str = "none"
    width: int = WIDTH
    settings: Settings = field(default_factory=lambda: Settings(max_steps=4000, rate=RATE))

    @property
    def name(self) -> str:
        return "-".join(["deconv", *(part for part in (self.enhancement, self.features) if part != "none")])

    def at_effort(self, effort: str) -> "Deconvolution":
        return replace(self, settings=replace(self.settings, max_steps=round(CAPS[effort] * self.settings.max_steps)))

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        decoder = build_deconvolution(
            view.z_shape,
            view.kind,
            view.image_shape,
            enhancement=self.enhancement,
            features=self.features,
            width=self.width,
            seed=seed,
        ).to(view.device)
        decoder.start_at(view.training.images.float().mean(0) / 255)
        return learn_inverse(
            view,
            decoder,
            decoder,
            choose_transform(view, seed=seed),
            self.settings,
            seed=seed,
            task=self.name,
            details=asdict(self),
            progress=progress,
            checkpoint=checkpoint,
        )


DECONVOLUTIONS: tuple[Deconvolution, ...] = (
    Deconvolution(),
    *(Deconvolution(kind) for kind in ("attention", "conv-attention", "se", "lsk", "msca", "reversed-residual")),
    *(Deconvolution(features=kind) for kind in ("normalise", "fft-residual", "fft-concat", "dropout-net")),
)
"""The plain attacker and the paper's ways to strengthen it, one at a time."""
