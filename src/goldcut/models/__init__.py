"""Networks that no library has in this form, by the name that `goldcut:NAME` accepts."""

from collections.abc import Callable
from functools import partial

from torch import nn

from goldcut.models.cnn4 import CNN4
from goldcut.models.ir import IR
from goldcut.models.resnet import Bottleneck, ResNet
from goldcut.models.vgg import VGG19
from goldcut.models.vit import ViT


def _cnn4(channels: int = 1, classes: int = 10, size: tuple[int, int] = (28, 28), width: int = 16) -> nn.Module:
    """CNN4, whose weights are the same for every size."""
    return CNN4(channels=channels, width=width, classes=classes)


NAMED: dict[str, tuple[Callable[..., nn.Module], tuple[int, int, int]]] = {
    "cnn4": (_cnn4, (1, 28, 28)),
    "cnn4-small": (partial(_cnn4, width=8), (1, 28, 28)),
    "ir152": (IR, (3, 64, 64)),
    "ir152-small": (partial(IR, units=(1, 2, 3, 1), width=16, embedding=128), (3, 64, 64)),
    "resnet18": (ResNet, (3, 64, 64)),
    "resnet18-small": (partial(ResNet, width=16), (3, 64, 64)),
    "resnet50": (partial(ResNet, block=Bottleneck, units=(3, 4, 6, 3)), (3, 64, 64)),
    "resnet50-small": (partial(ResNet, block=Bottleneck, units=(1, 2, 2, 1), width=8), (3, 64, 64)),
    "vgg19": (VGG19, (3, 64, 64)),
    "vgg19-small": (partial(VGG19, width=16, hidden=256), (3, 64, 64)),
    "vit64": (ViT, (3, 64, 64)),
    "vit64-small": (partial(ViT, patch=8, dim=64, depth=4, heads=4), (3, 64, 64)),
}
"""Each is built with `channels`, `classes` and `size` (H, W), for images of the shape (C, H, W) unless others are at
hand.

The small ones are of the same form, narrower and shallower, for a CPU.
"""
