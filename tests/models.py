"""A zoo of tiny models, each with one trait that tracing, cutting or splitting could trip over.

All take images of INPUT_SHAPE in [0, 1] and have CLASSES logits. ZOO maps a name to a class; `build(name)` gives such a
model in eval mode with random but fixed weights whose logits differ from image to image, `cut_zoo(name)` its cuts. The
classes at the end, outside ZOO, are models that goldcut must refuse.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goldcut.cuts import CutGraph, find_cuts

INPUT_SHAPE = (3, 16, 16)
CLASSES = 10


class PlainCNN(nn.Module):
    """Conv, batch norm, ReLU, pool, twice; then a linear head. The normal case."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
        self.fc = nn.Linear(256, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        x = self.pool(self.relu(self.bn2(self.conv2(x))))
        return self.fc(torch.flatten(x, 1))


class Blocks(nn.Sequential):
    """A Sequential of Sequentials: names are "block1", not "block1.3"."""

    def __init__(self) -> None:
        def block(before: int, after: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)
            )

        head = nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, CLASSES))
        super().__init__(OrderedDict(block1=block(3, 8), block2=block(8, 16), head=head))


class ResidualBlock(nn.Module):
    """Two convolutions around a shortcut; `relu` is called twice, in place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x
        return self.relu(y)


class Residual(nn.Module):
    """A stem, two residual blocks, global pool, head: one cut per block and none inside but the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.Sequential(ResidualBlock(8), ResidualBlock(8))
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layers(self.stem(x)).mean((2, 3)))


class InPlace(nn.Module):
    """Writes into the memory of a tensor, of a view, and of a tensor that a view still reads."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(2048, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(x), inplace=True)
        flat = y.view(y.size(0), -1)
        y.mul_(2.0)
        flat[:, :10] = 0.5
        return self.fc(flat.add_(1.0)).clamp_(-50, 50)


class Functional(nn.Module):
    """No submodules: parameters and functions only."""

    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Parameter(torch.randn(8, 3, 3, 3) / 5), nn.Parameter(torch.randn(8, 8, 3, 3) / 8)
        self.head = nn.Parameter(torch.randn(CLASSES, 512) / 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.conv2d(x, self.w1, padding=1))
        x = F.relu(F.conv2d(x, self.w2, padding=1)) + x
        return F.max_pool2d(x, 2).reshape(x.shape[0], -1) @ self.head.t()


class Dense(nn.Module):
    """Every layer reads all features before it, concatenated; a transition closes the block."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(8 + 4 * k, 4, 3, padding=1) for k in range(3))
        self.stem, self.transition, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(20, 8, 1), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for layer in self.layers:
            features.append(F.relu(layer(torch.cat(features, 1))))
        return self.fc(F.adaptive_avg_pool2d(self.transition(torch.cat(features, 1)), 1).flatten(1))


class ViewMinusOne(nn.Module):
    """Flattens with view(-1, n): the batch size is never mentioned."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Linear(256, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.conv(x)).view(-1, 256))


class LenBatch(ViewMinusOne):
    """Flattens with view(len(x), -1), where a tracer may take the batch size for a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.conv(x)).view(len(x), -1))


class Shared(nn.Module):
    """One convolution called three times: its weights belong to both halves."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.fc = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Linear(8, CLASSES),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(3):
            x = torch.relu(self.mix(x))
        return self.fc(x.mean((2, 3)))


class TokenBlock(nn.Module):
    """A transformer block with pre-norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Tokens(nn.Module):
    """A small ViT: patches, a class token, positions, two blocks, a head on the class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.class_token, self.positions = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16))
        self.blocks = nn.Sequential(TokenBlock(16), TokenBlock(16))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class ChannelsLast(nn.Module):
    """A map whose channels come last, as inside Swin: kind "tokens", shape (H, W, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.mix = nn.Conv2d(3, 8, 2, stride=2), nn.LayerNorm(8), nn.Linear(8, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.mix(self.norm(self.stem(x).permute(0, 2, 3, 1))))
        return self.head(x.permute(0, 3, 1, 2).mean((2, 3)))


class DictOutput(PlainCNN):
    """A dict with a second head: the logits are under "out"."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"aux": self.auxiliary(x.mean((2, 3))), "out": super().forward(x)}


class TupleOutput(PlainCNN):
    """A tuple: the logits come first."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        logits = super().forward(x)
        return logits, logits.softmax(1) + x.mean()


class Answer(NamedTuple):
    """An output with names, as libraries return."""

    loss: Tensor | None
    logits: Tensor


class NamedOutput(PlainCNN):
    """A named tuple whose first field is None."""

    def forward(self, x: Tensor) -> Answer:  # type: ignore[override]
        return Answer(None, super().forward(x))


class Variadic(PlainCNN):
    """forward(*xs): the signature does not name the image."""

    def forward(self, *xs: Tensor) -> Tensor:
        return super().forward(xs[0])


class MLP(nn.Module):
    """Vectors only."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(768, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh())
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x))


class Gated(nn.Module):
    """A squeeze-and-excitation gate, a chunk in two, and a softmax at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.squeeze, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = x * torch.sigmoid(self.squeeze(x.mean((2, 3), keepdim=True)))
        a, b = x.chunk(2, dim=1)
        return self.fc((a * torch.tanh(b)).amax((2, 3))).log_softmax(1)


class Autocast(PlainCNN):
    """Runs a part in bfloat16."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        with torch.autocast(x.device.type, torch.bfloat16):
            x = self.conv2(x)
        x = self.pool(self.relu(self.bn2(x.float())))
        return self.fc(torch.flatten(x, 1))


class Counting(PlainCNN):
    """Counts its calls in a buffer, which nobody else may move."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.calls: Tensor

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1.0)
        return super().forward(x)


class TrailingViews(nn.Module):
    """Logits from a 1 x 1 convolution and a pool, squeezed at the end: the views after the pool are no cuts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.classifier = nn.Conv2d(3, 8, 3), nn.Conv2d(8, CLASSES, 1)
        self.pool, self.drop = nn.AdaptiveAvgPool2d(1), nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.pool(self.classifier(torch.relu(self.conv(x)))).squeeze(3)).flatten(1)


# --- models to be refused --------------------------------------------------------------------------


class DataDependentIf(PlainCNN):
    """Takes another way when the image is bright: no fixed graph."""

    def forward(self, x: Tensor) -> Tensor:
        if x.mean() > 0.5:  # the line that the message must name
            x = 1 - x
        return super().forward(x)


class TwoInputsEverywhere(nn.Module):
    """The image itself goes into the last layer as well: no place with one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(1536, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return (
            self.fc(torch.cat([torch.relu(self.conv(x)), x], 1).flatten(1).unsqueeze(1) - x.mean()).squeeze(1) + x.sum()
        )


class OneLayer(nn.Sequential):
    """A linear classifier: nothing would be left for one of the halves."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(768, CLASSES))


class FixedBatch(PlainCNN):
    """Loops over the batch in Python: works, but only for the batch size that was traced."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([super(FixedBatch, self).forward(image[None]) for image in x])


ZOO: dict[str, Callable[[], nn.Module]] = {
    kind.__name__: kind
    for kind in (
        PlainCNN,
        Blocks,
        Residual,
        InPlace,
        Functional,
        Dense,
        ViewMinusOne,
        LenBatch,
        Shared,
        Tokens,
        ChannelsLast,
        DictOutput,
        TupleOutput,
        NamedOutput,
        Variadic,
        MLP,
        Gated,
        Autocast,
        Counting,
        TrailingViews,
    )
}
"""Every model here can be cut."""


def build(name: str, seed: int = 0) -> nn.Module:
    """A model of the zoo in eval mode, weights from the seed, calibrated."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return calibrate(ZOO[name](), images(8))


@functools.cache
def cut_zoo(name: str) -> CutGraph:
    """The cuts of a model of the zoo, found once for all tests that only read them."""
    return find_cuts(build(name), INPUT_SHAPE)


def images(count: int, shape: tuple[int, int, int] = INPUT_SHAPE, seed: int = 1) -> Tensor:
    """Random images in [0, 1] that differ in brightness and texture."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(count, *shape, generator=generator)
    return noise * torch.rand(count, shape[0], 1, 1, generator=generator)


def logits_of(output: object) -> Tensor:
    """The logits as the models here and those of libraries give them."""
    if isinstance(output, dict) and not hasattr(output, "logits"):
        return output["out"]
    output = getattr(output, "logits", output)
    return output[0] if isinstance(output, tuple) else output  # type: ignore[return-value]


@torch.no_grad()
def calibrate(model: nn.Module, batch: Tensor) -> nn.Module:
    """Make an untrained model's answer depend on the image, so that comparing answers shows something.

    Weights that start at zero or nearly so (heads, layer scales) are drawn anew; batch norms take their statistics
    from the batch; and the last layer with as many outputs as logits is scaled until these have deviation 1 over
    the images. The model is left in eval mode.
    """
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        if parameter.abs().max() < 1e-3:
            scale = 0.3 if parameter.ndim < 2 else (1 / parameter[0].numel()) ** 0.5
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None
    model(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum
    logits = logits_of(model(batch))
    heads = [m for m in model.modules() if getattr(m, "weight", None) is not None and len(m.weight) == logits.shape[1]]
    if heads:
        heads[-1].weight.div_(logits.std(0).mean())
    return model
