"""Networks that look at reconstructions: do they see what they see in the image itself?

An image may be useless by its pixels and still show who it is. An independent classifier (not the one that is
attacked) says whether the reconstruction has the class of the image; an embedder, such as a face recogniser, says how
near the identities are. Both figures are common in the field, for instance "attack accuracy" and "feature distance" of
Y. Zhang et al., "The Secret Revealer: Generative Model-Inversion Attacks Against Deep Neural Networks" (2020).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

BATCH = 64

Look = Callable[[Float[Tensor, "b c h w"]], Tensor]
"""Images (b, C, H, W) in [0, 1] -> outputs (b, ...)."""


@dataclass(frozen=True, eq=False)
class Witness:
    """A network that looks at images.

    Attributes:
        figure: Name of its figure in records.Scores.
        compare: Reconstructions and images (b, C, H, W) in [0, 1] -> the figure of each pair (b,); called without
            gradients.
        sha256: Hash of its weights.
    """

    figure: Literal["agreement", "identity_cosine", "lpips"]
    compare: Callable[[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]], Float[Tensor, " b"]]
    sha256: str

    def per_image(self, made: Float[Tensor, "n c h w"], images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The figure of each pair, in float64."""
        pairs = zip(torch.split(made.float(), BATCH), torch.split(images.float(), BATCH), strict=True)
        with torch.no_grad():
            return torch.cat([self.compare(one, other).double().cpu() for one, other in pairs])


def independent_classifier(see: Look, sha256: str) -> Witness:
    """1 where the largest output is the same for reconstruction and image, else 0."""

    def compare(made: Tensor, images: Tensor) -> Tensor:
        return see(made).flatten(1).argmax(1) == see(images).flatten(1).argmax(1)

    return Witness("agreement", compare, sha256)


def identity_embedder(see: Look, sha256: str) -> Witness:
    """The cosine of the two outputs."""

    def compare(made: Tensor, images: Tensor) -> Tensor:
        return functional.cosine_similarity(see(made).flatten(1).double(), see(images).flatten(1).double(), dim=1)

    return Witness("identity_cosine", compare, sha256)
