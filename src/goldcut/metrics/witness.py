"""Networks of the user that look at reconstructions: do they see what they see in the image itself?

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


@dataclass(frozen=True, eq=False)
class Witness:
    """A network that looks at images.

    Attributes:
        figure: "agreement": 1 where the largest output is the same for reconstruction and image, else 0; or
            "identity_cosine": the cosine of the two outputs.
        see: Images (b, C, H, W) in [0, 1] -> outputs (b, ...), without gradients.
        sha256: Hash of its weights.
    """

    figure: Literal["agreement", "identity_cosine"]
    see: Callable[[Float[Tensor, "b c h w"]], Tensor]
    sha256: str

    def per_image(self, made: Float[Tensor, "n c h w"], images: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """The figure of each pair, in float64."""
        found = []
        with torch.no_grad():
            for start in range(0, len(made), BATCH):
                part = slice(start, start + BATCH)
                seen, known = (self.see(one[part].float()).flatten(1).double().cpu() for one in (made, images))
                if self.figure == "agreement":
                    found.append((seen.argmax(1) == known.argmax(1)).double())
                else:
                    found.append(functional.cosine_similarity(seen, known, dim=1))
        return torch.cat(found)
