"""A defence in the path while a model trains: everything behind a cut sees what the device would send.

Noise and levels are in units of Z, and Z changes while it is trained; so the defence is set anew by each batch, without
a gradient: a larger Z brings larger noise, and nothing is gained by growing away from it. When the model is judged, the
scale comes from the calibration images among those that it is judged on, as in an audit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.split import split_at
from goldcut.cuts.taps import read_cuts
from goldcut.defenses.base import Defense
from goldcut.defenses.calibration import calibration_rows
from goldcut.sources.images import Images
from goldcut.training.taps import inner

BATCH = 128


@dataclass(frozen=True)
class Sending:
    """Which defence stands at which cut.

    Attributes:
        defense: What is done to Z.
        cut: Where, by name.
        module: The module whose output Z is.
    """

    defense: Defense
    cut: str
    module: str

    @contextmanager
    def taught(self, model: nn.Module) -> Iterator["Draw"]:
        """While a model trains: what the module gives passes the defence."""
        draw = Draw()

        def send(module: nn.Module, inputs: object, z: Tensor) -> Tensor:
            seed = int(torch.randint(2**62, (1,), generator=draw.noise))
            sent: Tensor = self.defense.build(z.detach(), seed)(z)
            draw.sent[self.cut] = sent
            return sent

        hook = inner(model).get_submodule(self.module).register_forward_hook(send)
        try:
            yield draw
        finally:
            hook.remove()

    def answers(self, graph: CutGraph, images: Images, *, device: str = "cpu", seed: int = 0) -> Float[Tensor, "n k"]:
        """The logits of the cloud half for what is sent, the model in eval mode.

        Args:
            graph: The traced model, without a defence.
            images: What it is shown; some of them set the scale.
            device: Where the model is.
            seed: Of what the defence draws.
        """
        cloud, kept = split_at(graph, self.cut).cloud, dict[str, Tensor]()

        def read(index: np.ndarray) -> Tensor:
            read_cuts(graph, images.batch(index).to(device), [self.cut], lambda name, z: kept.update({name: z.clone()}))
            return kept[self.cut]

        module = self.defense.build(read(calibration_rows(len(images))), seed)
        with torch.no_grad():
            parts = np.array_split(np.arange(len(images)), range(BATCH, len(images), BATCH))
            return torch.cat([cloud(module(read(index))).float().cpu() for index in parts])


@dataclass
class Draw:
    """What one forward pass draws from, and what it sent.

    Attributes:
        noise: Where chance comes from, on the CPU.
        sent: By cut.
    """

    noise: torch.Generator = field(default_factory=torch.Generator)
    sent: dict[str, Tensor] = field(default_factory=dict)
