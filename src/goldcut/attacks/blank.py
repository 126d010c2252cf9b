"""The edge half's structure with weights of its own, from images at the attack's size to Z as the attack sees it."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, fx, nn

from goldcut.cuts.redraw import calibrate, redraw

CALIBRATING = 64
"""Images that the first statistics of batch norms are taken from."""


class Blank(nn.Module):
    """An untrained edge half, all of whose parameters can be trained.

    Args:
        half: The edge half; not changed, and none of its weights is kept.
        prepare: Brings images of the attack to the size of the model.
        lay_out: Brings Z into the arrangement of the attack.
        seed: Of the weights.
    """

    def __init__(
        self,
        half: fx.GraphModule,
        prepare: Callable[[Tensor], Tensor],
        lay_out: Callable[[Tensor], Tensor],
        *,
        seed: int,
    ) -> None:
        super().__init__()
        self.edge = redraw(half, seed=seed)
        self.prepare = prepare
        self.lay_out = lay_out

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b ..."]:
        return self.lay_out(self.edge(self.prepare(images))).float()

    def calibrated(self, images: UInt8[Tensor, "n c h w"], device: str) -> "Blank":
        """The same with the statistics of its batch norms taken from some of the attacker's images."""
        rows = np.linspace(0, len(images) - 1, min(CALIBRATING, len(images))).astype(int)
        batch = images[torch.from_numpy(rows)].to(device, torch.float32) / 255
        calibrate(self, batch)
        return self
