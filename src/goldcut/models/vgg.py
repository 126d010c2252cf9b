"""VGG19 with batch norm in the form of the paper: 64 pixels, five pools, two hidden layers.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2015), configuration
E; the head as in R. Liu et al., "Partitioning for Intrinsic Model Inversion Resistance in Collaborative Inference"
(ICML 2026).
"""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from goldcut.errors import ModelError

STAGES = (2, 2, 4, 4, 4)
"""Convolutions before each pool."""


class VGG19(nn.Module):
    """Sixteen convolutions and three linear layers.

    `features.N` is layer N of the paper: convolution, norm and ReLU by turns, and a pool after each stage (6, 13, 26,
    39, 52).

    Args:
        channels: Channels of the images.
        classes: Number of logits.
        size: Height and width of the images, 32 or more; the features are size / 32 high and wide.
        width: Channels of the first stage; the others have 2, 4, 8 and 8 times as many.
        hidden: Width of the two hidden layers.

    Example:
        >>> sum(weight.numel() for weight in VGG19(width=8, hidden=16).features.parameters())
        315048
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 10,
        size: tuple[int, int] = (64, 64),
        width: int = 64,
        hidden: int = 4096,
    ) -> None:
        super().__init__()
        if min(size) < 32:
            raise ModelError(
                f"VGG19 halves an image five times, and {size[0]}x{size[1]} pixels are too few", "Give 32 or more."
            )
        widths = [channels, *(width * factor for factor in (1, 2, 4, 8, 8))]
        layers: list[nn.Module] = []
        for (before, after), count in zip(pairwise(widths), STAGES, strict=True):
            for place in range(count):
                convolution = nn.Conv2d(before if place == 0 else after, after, kernel_size=3, padding=1)
                layers += [convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(widths[-1] * (size[0] // 32) * (size[1] // 32), hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(0.2),
            nn.Linear(hidden, classes),
        )

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the images."""
        logits: Tensor = self.classifier(self.features(images).flatten(1))
        return logits
