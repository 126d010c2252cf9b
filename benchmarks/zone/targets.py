"""The networks that zone rules are judged on: four architectures, each on CIFAR-10 and on MNIST.

All take 32 x 32 images; the digits are padded with black from 28 to 32 pixels, so that the same networks serve both.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.targets import ResNet20, augment
from goldcut.sources.images import Pack, from_arrays, load_images

CLASSES = 10
TRAINING, SCANNED = 15_000, 5_000


class ConvBlock(nn.Module):
    """3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


def layers(channels: int, plan: str) -> Iterator[nn.Module]:
    """Layers from a plan such as "16 16 M 32/2": widths, "/2" for a stride of 2, M for a max pool."""
    for word in plan.split():
        if word == "M":
            yield nn.MaxPool2d(2)
            continue
        width, _, stride = word.partition("/")
        yield ConvBlock(channels, int(width), int(stride or 1))
        channels = int(width)


class Plain(nn.Module):
    """Convolutions from a plan, then hidden fully connected layers and the logits."""

    def __init__(self, channels: int, plan: str, flat: int, hidden: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers(channels, plan))
        self.hidden = nn.Sequential(
            *(
                layer
                for before, after in zip((flat, *hidden), hidden, strict=False)
                for layer in (nn.Linear(before, after), nn.ReLU())
            )
        )
        self.fc = nn.Linear((flat, *hidden)[-1], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.hidden(self.features(x).flatten(1)))
        return logits


VGG16 = "16 16 M 32 32 M 64 64 64 M 128 128 128 M 128 128 128 M"
"""VGG16 at a quarter of its widths (Simonyan, Zisserman 2015, configuration D), with batch normalisation."""

CNN = "24 24 M 48 48 M 96 96 M"
EARLY = "24/2 48/2 96/2 96 96 96"
LATE = "24 24 24 48/2 96/2 96/2"
"""EARLY and LATE: six convolutions and three strides each, the strides first or last."""


class Attention(nn.Module):
    """A transformer layer, normalised before each part (Dosovitskiy et al., An Image is Worth 16x16 Words, 2021)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d))
        made: Tensor = x + self.down(functional.gelu(self.up(self.norm2(x))))
        return made


class Transformer(nn.Module):
    """A small ViT: patches of 4 x 4, six layers of 96 dimensions and 3 heads, the mean of the tokens at the end."""

    def __init__(self, channels: int, dim: int = 96, depth: int = 6, heads: int = 3, patch: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, dim, patch, patch)
        self.positions = nn.Parameter(0.02 * torch.randn(1, (32 // patch) ** 2, dim))
        self.blocks = nn.Sequential(*(Attention(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Linear(dim, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        logits: Tensor = self.fc(self.norm(self.blocks(x)).mean(1))
        return logits


def resnet20(channels: int, last_stride: int = 2) -> nn.Module:
    """ResNet-20; with `last_stride` 1 its last stage keeps the resolution of the one before."""
    model = ResNet20(CLASSES)
    if channels != 3:
        model.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
    for name in ("layer3.0.conv1", "layer3.0.shortcut.0"):
        convolution = model.get_submodule(name)
        assert isinstance(convolution, nn.Conv2d)
        convolution.stride = (last_stride, last_stride)
    return model


def shift(images: Tensor, noise: torch.Generator) -> Tensor:
    """Shift a batch by up to 2 pixels; digits may not be mirrored."""
    down, right = torch.randint(0, 5, (2,), generator=noise).tolist()
    height, width = images.shape[2:]
    return functional.pad(images, (2, 2, 2, 2), mode="replicate")[:, :, down : down + height, right : right + width]


def read_cifar(folder: Path) -> Pack:
    """CIFAR-10: 15,000 images for target and attacker, 5,000 scanned."""
    return load_images(f"npz:{folder / 'cifar10_lossless_15k_5k.npz'}")


def read_mnist(folder: Path) -> Pack:
    """MNIST: 15,000 and 5,000 images drawn with seed 0 from its two parts, padded to 32 x 32."""
    with np.load(folder / "mnist.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    parts = []
    for part, count in (("train", TRAINING), ("test", SCANNED)):
        rows = np.sort(np.random.default_rng(0).permutation(len(arrays[f"x_{part}"]))[:count])
        x = np.pad(arrays[f"x_{part}"][rows].reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
        parts.append(from_arrays(x, arrays[f"y_{part}"][rows], spec="mnist", part=part))
    return Pack(scanned=parts[1], attacker=parts[0])


@dataclass(frozen=True)
class Data:
    """A data set and what a training on it needs to know.

    Attributes:
        read: From the folder of data to the images.
        channels: Of an image.
        mean: Per channel, subtracted.
        std: Per channel, divides.
        augment: Changes a batch of training images at random.
    """

    read: Callable[[Path], Pack]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Callable[[Tensor, torch.Generator], Tensor]


DATA: Mapping[str, Data] = {
    "cifar": Data(read_cifar, 3, ResNet20.input_mean, ResNet20.input_std, augment),
    "mnist": Data(read_mnist, 1, (0.1,), (0.28,), shift),
}


@dataclass(frozen=True)
class Recipe:
    """A network and how long it is trained.

    Attributes:
        build: From the channels of an image to the network.
        epochs: By data set.
        rate: First learning rate of AdamW.
        batch: Images a step.
    """

    build: Callable[[int], nn.Module]
    epochs: Mapping[str, int]
    rate: float = 3e-3
    batch: int = 128


NETWORKS: Mapping[str, Recipe] = {
    "resnet20": Recipe(resnet20, {"cifar": 14, "mnist": 4}),
    "vgg16": Recipe(partial(Plain, plan=VGG16, flat=128), {"cifar": 10, "mnist": 3}),
    "cnn": Recipe(partial(Plain, plan=CNN, flat=96 * 16, hidden=(256,)), {"cifar": 7, "mnist": 4}),
    "vit": Recipe(Transformer, {"cifar": 9, "mnist": 3}, rate=1e-3, batch=64),
    "untrained": Recipe(resnet20, {"cifar": 0}),
    "wide_end": Recipe(partial(resnet20, last_stride=1), {"cifar": 7}),
    "early": Recipe(partial(Plain, plan=EARLY, flat=96 * 16, hidden=(256,)), {"cifar": 10}),
    "late": Recipe(partial(Plain, plan=LATE, flat=96 * 16, hidden=(256,)), {"cifar": 10}),
}
"""With no epoch only the batch normalisations see images, so that the untrained network has the usual scales."""

TARGETS = (
    "resnet20-cifar",
    "vgg16-cifar",
    "cnn-mnist",
    "vit-cifar",
    "resnet20-mnist",
    "cnn-cifar",
    "vgg16-mnist",
    "vit-mnist",
)
"""The networks that the rules are judged on, "network-data"."""

CONTROLS = ("untrained-cifar", "wide_end-cifar", "early-cifar", "late-cifar")
"""Networks that take the transition apart; no rule is judged on them."""
