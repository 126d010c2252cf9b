"""ResNet-18 and ResNet-50 in the 64 pixel form: a 3x3 stem without stride or pool, three halvings.

K. He et al., "Deep Residual Learning for Image Recognition" (2016), the stem as in its CIFAR networks and in R. Liu et
al., "Partitioning for Intrinsic Model Inversion Resistance in Collaborative Inference" (ICML 2026).
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu


class Basic(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(before, width, 3, stride), nn.ReLU(inplace=True), *_convolution(width, width, 3)
        )
        self.shortcut = _shortcut(before, width, stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """The sum of both ways, its negative part cut off."""
        return relu(self.residual(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 ones, around a shortcut; the output is four times as wide."""

    expansion = 4

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = width * self.expansion
        self.residual = nn.Sequential(
            *_convolution(before, width, 1),
            nn.ReLU(inplace=True),
            *_convolution(width, width, 3, stride),
            nn.ReLU(inplace=True),
            *_convolution(width, after, 1),
        )
        self.shortcut = _shortcut(before, after, stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """The sum of both ways, its negative part cut off."""
        return relu(self.residual(x) + self.shortcut(x))


class ResNet(nn.Module):
    """A stem, four stages, a pool over 4x4 positions and a linear head.

    At 64 pixels the last maps are 8x8, so the head sees 2x2 positions; below 64 pixels one.

    Args:
        channels: Channels of the images.
        classes: Number of logits.
        size: Height and width of the images, any.
        block: Basic or Bottleneck.
        units: Blocks in each stage; the first of stages 2 to 4 halves the map.
        width: Channels of the stem and the first stage; the others have 2, 4 and 8 times as many.

    Example:
        >>> import torch
        >>> ResNet(block=Bottleneck, units=(1, 1, 1, 1), width=4).eval()(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 10,
        size: tuple[int, int] = (64, 64),
        block: type[Basic] | type[Bottleneck] = Basic,
        units: tuple[int, int, int, int] = (2, 2, 2, 2),
        width: int = 64,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(channels, width, 3), nn.ReLU())
        before, stages = width, []
        for stage, count in enumerate(units):
            blocks = []
            for place in range(count):
                blocks.append(block(before, width * 2**stage, stride=2 if stage and place == 0 else 1))
                before = width * 2**stage * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        positions = (max(1, size[0] // 32), max(1, size[1] // 32))
        self.pool = nn.AdaptiveAvgPool2d(positions)
        self.fc = nn.Linear(before * positions[0] * positions[1], classes)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the images."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(images)))))
        logits: Tensor = self.fc(self.pool(x).flatten(1))
        return logits


def _convolution(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(after)]


def _shortcut(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(*(_convolution(before, after, 1, stride) if stride != 1 or before != after else ()))
