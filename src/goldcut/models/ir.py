"""IR-152 in the form of the paper: improved residual units at 64 pixels, four stages that each halve the image.

The units are those of J. Deng et al., "ArcFace" (2019); their numbers and the head as in R. Liu et al., "Partitioning
for Intrinsic Model Inversion Resistance in Collaborative Inference" (ICML 2026).
"""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn


class Unit(nn.Module):
    """Norm, convolution, PReLU, convolution, norm around a shortcut; the second convolution may halve the map."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.shortcut: nn.Module = nn.MaxPool2d(1, stride)
        if before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.residual = nn.Sequential(
            nn.BatchNorm2d(before),
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.PReLU(after),
            nn.Conv2d(after, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """The sum of both ways."""
        total: Tensor = self.residual(x) + self.shortcut(x)
        return total


class IR(nn.Module):
    """A stem, units in four stages, an embedding and a linear head.

    Block 1 of the paper is `stem` and block b is `body.{b - 2}`: its blocks 40, 48 and 50 are `body.38`, `body.46` and
    `body.48`, and the last stage begins with block 49, `body.47`.

    Args:
        channels: Channels of the images.
        classes: Number of logits.
        size: Height and width of the images, any.
        units: Units in each stage; the first of each halves the map.
        width: Channels of the stem and the first stage; the others have 2, 4 and 8 times as many.
        embedding: Width of the embedding.

    Example:
        >>> [len(IR(units=units, width=4, embedding=8).body) for units in ((3, 8, 36, 3), (1, 2, 3, 1))]
        [50, 7]
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 10,
        size: tuple[int, int] = (64, 64),
        units: tuple[int, int, int, int] = (3, 8, 36, 3),
        width: int = 64,
        embedding: int = 512,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        before, layers = width, []
        for stage, count in enumerate(units):
            for place in range(count):
                layers.append(Unit(before, width * 2**stage, stride=2 if place == 0 else 1))
                before = width * 2**stage
        self.body = nn.Sequential(*layers)
        positions = -(-size[0] // 16) * -(-size[1] // 16)
        self.head = nn.Sequential(
            OrderedDict(
                norm=nn.BatchNorm2d(before),
                dropout=nn.Dropout(),
                flatten=nn.Flatten(),
                embed=nn.Linear(before * positions, embedding),
                norm2=nn.BatchNorm1d(embedding),
            )
        )
        self.fc = nn.Linear(embedding, classes)
        for module in self.body.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the images."""
        logits: Tensor = self.fc(self.head(self.body(self.stem(images))))
        return logits
