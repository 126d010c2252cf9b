"""How an attacker lays Z out: a flattened map is still a map, and a grid of tokens is one as well."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from goldcut.records import Cut, Kind


@dataclass(frozen=True)
class Layout:
    """The arrangement of Z that the attack works on.

    Attributes:
        shape: Shape per sample after the arrangement.
        kind: What its axes mean.
        source: Shape per sample before it.
        channels_last: Whether Z comes as (H, W, C) and becomes (C, H, W).
    """

    shape: tuple[int, ...]
    kind: Kind
    source: tuple[int, ...]
    channels_last: bool = False

    def __call__(self, z: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        return z.movedim(-1, 1) if self.channels_last else z.reshape(-1, *self.shape)

    def undo(self, z: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Z as the cloud half takes it."""
        return z.movedim(1, -1) if self.channels_last else z.reshape(-1, *self.source)


def lay_out(cut: Cut, cuts: Sequence[Cut]) -> Layout:
    """The arrangement for a cut, from what the attacker knows of the network's shapes.

    Without it capacity would jump between a map and the same map flattened, though the information is the
    same. A vector right behind a map with as many elements is taken for that map; a grid of tokens
    (H, W, C) for the map (C, H, W); whatever has more axes than its kind is flattened.

    Args:
        cut: The cut.
        cuts: All cuts of the model in order.
    """
    if cut.kind == "tokens" and len(cut.shape) == 3:
        height, width, channels = cut.shape
        return Layout((channels, height, width), "map", cut.shape, channels_last=True)
    if cut.kind == "tokens" and len(cut.shape) > 3:
        return Layout((math.prod(cut.shape[:-1]), cut.shape[-1]), "tokens", cut.shape)
    if cut.kind == "map":
        return Layout(cut.shape, "map", cut.shape)
    if cut.kind == "vector":
        names = [other.name for other in cuts]
        place = names.index(cut.name) if cut.name in names else 0
        before = cuts[place - 1] if place else None
        if before is not None and before.elements == cut.elements and before.kind != "vector":
            return _flattened(cut, before)
        return Layout((cut.elements,), "vector", cut.shape)
    return Layout(cut.shape, cut.kind, cut.shape)


def _flattened(cut: Cut, before: Cut) -> Layout:
    if before.kind == "map" and math.prod(before.shape[1:]) > 1:
        return Layout(before.shape, "map", cut.shape)
    if before.kind == "tokens" and len(before.shape) == 2:
        return Layout(before.shape, "tokens", cut.shape)
    return Layout((before.elements,), "vector", cut.shape)
