"""Networks for audits on real images, trained here by one fixed recipe.

    python -m benchmarks.targets resnet20 npz:CIFAR.npz --out runs/resnet20.safetensors

trains on the attacker's part of the data (x_train) without the 1,000 images that choose the best round, and
prints the accuracy on the scanned part (x_test). `benchmarks/targets.py:resnet20` is then a MODEL for goldcut.
"""

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from goldcut.cli.options import progress_bars
from goldcut.errors import DataError
from goldcut.fitting import Settings, fit
from goldcut.sources.images import Images, load_images

SELECTION = 1000


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al., Deep Residual Learning, 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = (
            nn.Identity()
            if before == after
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet20(nn.Module):
    """The CIFAR ResNet with n = 3: 3 stages of 3 blocks, 16, 32 and 64 channels (He et al. 2016, section 4.2)."""

    input_shape = (3, 32, 32)
    input_mean, input_std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1), Block(16, 16, 1), Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(self.pool(x).flatten(1))
        return logits


def resnet20(num_classes: int = 10) -> nn.Module:
    """ResNet-20 for CIFAR-10."""
    return ResNet20(num_classes)


class HeCNN(nn.Module):
    """Six convolutions and two hidden layers, as in He, Zhang, Lee: Model Inversion Attacks Against Collaborative
    Inference, 2019; the cut `block2` is their ReLU22, 128 x 16 x 16."""

    input_shape = (3, 32, 32)
    input_mean, input_std = ResNet20.input_mean, ResNet20.input_std

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.block1, self.block2, self.block3 = (
            nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU()
            )
            for before, after in ((3, 64), (64, 128), (128, 128))
        )
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(128 * 4 * 4, 512), nn.Sigmoid())
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.block3(self.pool(self.block2(self.pool(self.block1(x))))))
        logits: Tensor = self.fc(self.hidden(x))
        return logits


def he_cnn(num_classes: int = 10) -> nn.Module:
    """The CIFAR-10 network of He et al."""
    return HeCNN(num_classes)


TARGETS = {"resnet20": ResNet20, "he_cnn": HeCNN}


@click.command()
@click.argument("name", type=click.Choice(sorted(TARGETS)))
@click.argument("data")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--epochs", type=int, default=14, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(name: str, data: str, out: Path, epochs: int, seed: int) -> None:
    """Train target NAME on DATA."""
    torch.manual_seed(seed)
    kind = TARGETS[name]
    model = kind().to(memory_format=torch.channels_last)
    pack = load_images(data, shape=kind.input_shape)
    if pack.attacker is None:
        raise DataError(f"{data} has no training part", "Give data with x_train and x_test.")
    train(model, pack.attacker, kind.input_mean, kind.input_std, epochs, seed, out)
    images = pack.scanned
    with torch.no_grad():
        predicted = torch.cat(
            [
                model(standardise(images.batch(part), kind.input_mean, kind.input_std)).argmax(1)
                for part in np.array_split(np.arange(len(images)), 20)
            ]
        )
    print(f"{name}: accuracy {np.mean(predicted.numpy() == images.labels):.4f} on {len(images)} images; {out}")


def train(
    model: nn.Module,
    images: Images,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    epochs: int,
    seed: int,
    out: Path,
    *,
    rate: float = 3e-3,
    batch: int = 128,
    change: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> None:
    """Train with images that `change` alters (mirrored and shifted by default), and write the best round's weights."""
    change = change or augment
    order = np.random.default_rng(seed).permutation(len(images))
    x = standardise(images.batch(order), mean, std)
    y = torch.from_numpy(images.labels[order])
    chosen, rest = x[:SELECTION], x[SELECTION:]
    settings = Settings(
        max_steps=epochs * len(rest) // batch, batch=batch, rate=rate, weight_decay=5e-2, round_steps=len(rest) // batch
    )
    with progress_bars() as progress:
        fit(
            model,
            lambda index, noise: functional.cross_entropy(model(change(rest[index], noise)), y[SELECTION:][index]),
            lambda: functional.cross_entropy(model(chosen), y[:SELECTION]).item(),
            samples=len(rest),
            settings=settings,
            seed=seed,
            task=f"train {type(model).__name__}",
            progress=progress,
            checkpoint=out.with_suffix(".partial"),
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: weights.contiguous() for name, weights in model.state_dict().items()}, out)


def standardise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Images as the network sees them."""
    return (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def augment(images: Tensor, noise: torch.Generator) -> Tensor:
    """Shift a batch by up to 4 pixels and mirror half of it (He et al. 2016, section 4.2)."""
    down, right = torch.randint(0, 9, (2,), generator=noise).tolist()
    height, width = images.shape[2:]
    shifted = functional.pad(images, (4, 4, 4, 4))[:, :, down : down + height, right : right + width]
    mirrored = torch.rand(len(images), 1, 1, 1, generator=noise) < 0.5
    return torch.where(mirrored, shifted.flip(3), shifted)


if __name__ == "__main__":
    main()
