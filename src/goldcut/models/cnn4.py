"""A small convolutional network of four blocks, quick to train on two cores."""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn


class CNN4(nn.Module):
    """Four convolution blocks, a global average pool and a linear head.

    Block k has `width * 2**k` channels; the first three halve the image. The pool makes the weights independent
    of the image size, so 28, 32 and 64 pixels (anything from 8 on) take the same network.

    Args:
        channels: Channels of the images.
        width: Channels of the first block.
        classes: Number of logits.

    Example:
        >>> import torch
        >>> CNN4(channels=1, width=4, classes=10)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, channels: int = 1, width: int = 16, classes: int = 10) -> None:
        super().__init__()
        widths = [width * 2**k for k in range(4)]
        self.blocks = nn.Sequential(
            *(
                _block(before, after, pool=k < 3)
                for k, (before, after) in enumerate(zip([channels, *widths], widths, strict=False))
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the images."""
        logits: Tensor = self.fc(self.pool(self.blocks(images)).flatten(1))
        return logits


def _block(before: int, after: int, *, pool: bool) -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "conv": nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
        "norm": nn.BatchNorm2d(after),
        "relu": nn.ReLU(),
    }
    if pool:
        layers["pool"] = nn.MaxPool2d(2)
    return nn.Sequential(OrderedDict(layers))
