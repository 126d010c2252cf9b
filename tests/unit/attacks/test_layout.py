"""How Z is laid out for an attack."""

import math

import pytest
import torch

from goldcut.attacks.layout import Layout, lay_out
from goldcut.records import Cut, Kind


def cut(name: str, shape: tuple[int, ...], kind: Kind) -> Cut:
    return Cut(name=name, shape=shape, kind=kind, elements=math.prod(shape), level="block")


CUTS = (
    cut("conv", (8, 4, 4), "map"),
    cut("flat", (128,), "vector"),
    cut("dense", (128,), "vector"),
    cut("tokens", (5, 6), "tokens"),
    cut("flat tokens", (30,), "vector"),
    cut("swin", (4, 4, 6), "tokens"),
    cut("pool", (7, 1, 1), "map"),
    cut("squeezed", (7,), "vector"),
    cut("volume", (2, 3, 4, 5), "vector"),
)
EXPECTED = (
    ((8, 4, 4), "map", False),
    ((8, 4, 4), "map", False),
    ((128,), "vector", False),
    ((5, 6), "tokens", False),
    ((5, 6), "tokens", False),
    ((6, 4, 4), "map", True),
    ((7, 1, 1), "map", False),
    ((7,), "vector", False),
    ((120,), "vector", False),
)


@pytest.mark.parametrize(("place", "expected"), list(enumerate(EXPECTED)), ids=[one.name for one in CUTS])
def test_layout(place: int, expected: tuple[tuple[int, ...], Kind, bool]):
    layout = lay_out(CUTS[place], CUTS)
    shape, kind, channels_last = expected
    assert layout == Layout(shape, kind, CUTS[place].shape, channels_last)
    z = torch.arange(2.0 * CUTS[place].elements).reshape(2, *CUTS[place].shape)
    assert layout(z).shape == (2, *layout.shape)
    assert sorted(layout(z).flatten().tolist()) == z.flatten().tolist()
    assert torch.equal(layout.undo(layout(z)), z)


def test_a_grid_of_tokens_becomes_a_map_with_channels_first():
    z = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    layout = lay_out(cut("swin", (4, 5, 6), "tokens"), ())
    assert torch.equal(layout(z), z.permute(0, 3, 1, 2))
