"""A defence as part of the edge half. What it draws comes in through a second input, so that the half stays a function
that can be compared with the model's, and the device draws from the operating system.

The random operators of ONNX would not do: onnxruntime draws them from a generator with 31 bits of state, which starts
with the clock and is the same for two sessions of a process. Whoever tries all states takes the noise away again.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.split import Split
from goldcut.defenses.calibration import build_at
from goldcut.defenses.noise import Noise
from goldcut.defenses.quantise import Levels
from goldcut.defenses.sparse import Largest, Mask
from goldcut.defenses.suite import read_defense
from goldcut.deploy.halves import with_plain_strides
from goldcut.errors import DeployError
from goldcut.records import DefenseRecord
from goldcut.sources.images import Pack


class DrawnNoise(nn.Module):
    """Adds the noise that two uniform numbers an element stand for.

    Gaussian: G. E. P. Box, M. E. Muller, A Note on the Generation of Random Normal Deviates, 1958. Laplace: the
    difference of two exponential variables.
    """

    def __init__(self, noise: Noise) -> None:
        super().__init__()
        self.sigma, self.laplace = noise.sigma, noise.laplace

    def forward(self, z: Tensor, random: Tensor) -> Tensor:
        """Z with noise; random (b, 2, *shape) in (0, 1)."""
        one, other = random[:, 0], random[:, 1]
        if self.laplace:
            return z + self.sigma / math.sqrt(2) * (other.log() - one.log())
        return z + self.sigma * (-2 * one.log()).sqrt() * (2 * math.pi * other).cos()


class DrawnMask(nn.Module):
    """Leaves out the elements whose uniform number is below the rate."""

    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self.rate = mask.rate

    def forward(self, z: Tensor, random: Tensor) -> Tensor:
        """Z with elements left out; random (b, 1, *shape) in (0, 1)."""
        return z * (random[:, 0] >= self.rate) / (1 - self.rate)


@dataclass(frozen=True)
class Portable:
    """How what a defence built is written into a file.

    Attributes:
        convert: To a module forward(z), or forward(z, random) where something is drawn.
        draws: Uniform numbers that it needs for each element of Z.
        jumps: Whether a rounding error before it can move an element by a whole step.
    """

    convert: Callable[..., nn.Module]
    draws: int = 0
    jumps: bool = False


PORTABLE: dict[type[nn.Module], Portable] = {
    Noise: Portable(DrawnNoise, draws=2),
    Mask: Portable(DrawnMask, draws=1),
    Levels: Portable(lambda levels: levels, jumps=True),
    Largest: Portable(lambda largest: largest, jumps=True),
}
"""What a defence built -> how it goes into edge.onnx; any other is refused."""


class Edge(nn.Module):
    """The edge half as it is exported, with the defence behind it.

    Args:
        split: The halves without it.
        defense: Of PORTABLE; None for none.
        record: What it is; None for none.
    """

    def __init__(self, split: Split, defense: nn.Module | None = None, record: DefenseRecord | None = None) -> None:
        super().__init__()
        self.images_to_z, self.defense, self.record = with_plain_strides(split.edge), defense, record

    @property
    def random_shape(self) -> tuple[int, ...]:
        """Shape per sample of what it draws; empty for nothing."""
        return () if self.record is None else self.record.random_shape

    def forward(self, images: Tensor, random: Tensor | None = None) -> Tensor:
        """What is sent, (b, *cut.shape)."""
        z: Tensor = self.images_to_z(images)
        if self.defense is None:
            return z
        sent: Tensor = self.defense(z) if random is None else self.defense(z, random)
        return sent

    def draw(self, rows: int, seed: int) -> tuple[Tensor, ...]:
        """Random numbers for a comparison, the same ones for the same seed; none where nothing is drawn."""
        if not self.random_shape:
            return ()
        source = torch.Generator().manual_seed(seed)
        drawn = torch.rand((rows, *self.random_shape), generator=source)
        return (drawn.clamp(min=torch.finfo(torch.float32).eps),)


def defend(graph: CutGraph, split: Split, pack: Pack | None, spec: str | None) -> Edge:
    """The edge half of a split with a defence, scaled as an audit of the same images scales it.

    Args:
        graph: That was split.
        split: Its halves.
        pack: Real images, which set the scale.
        spec: Such as "noise:0.3"; None for no defence.

    Raises:
        DataError: There is no such defence.
        DeployError: There are no images for its scale, or it cannot be written into a file.
    """
    if spec is None:
        return Edge(split)
    defense = read_defense(spec)
    if pack is None:
        raise DeployError(f"the scale of {defense.spec} is set by real images", "Give --data, the audit's.")
    built = build_at(graph, [split.cut.name], pack.scanned, defense)[split.cut.name]
    portable = PORTABLE.get(type(built))
    if portable is None:
        raise DeployError(
            f"{defense.spec} cannot be written into edge.onnx: nothing says how {type(built).__name__} draws there",
            "Choose noise, laplace, dropout, topk or quantise.",
        )
    record = DefenseRecord(
        spec=defense.spec,
        scale_sha256=pack.scanned.record.sha256,
        random_shape=(portable.draws, *split.cut.shape) if portable.draws else (),
        jumps=portable.jumps,
    )
    return Edge(split, portable.convert(built), record).eval()
