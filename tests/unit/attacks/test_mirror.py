"""Mirrored images are used where they are images of the kind, and only there."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from goldcut.attacks.base import Sample, View
from goldcut.attacks.mirror import choose_training
from goldcut.attacks.transforms import choose_transform


def make_view(lopsided: bool) -> View:
    """Fields that are as likely as their mirror images, or that are bright on the left; Z is a random projection."""
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0.6, -0.6, 8) if lopsided else torch.zeros(8)
    mixing = torch.randn(8, 8, generator=generator)
    images = 0.5 + 0.1 * torch.randn(900, 1, 8, 8, generator=generator) @ (mixing + mixing.flip(1)) / 4
    images = ((images + ramp * torch.rand(900, 1, 1, 1, generator=generator)).clamp(0, 1) * 255).to(torch.uint8)
    weights = torch.randn(64, 3, generator=generator)

    def edge(x: Tensor) -> Tensor:
        return torch.tanh((x.float() / 255 - 0.5).flatten(1) @ weights)

    own, other = images[:700], images[700:]
    both = torch.cat([own, own.flip(3)])
    return View(Sample(own, edge(own)), Sample(other, edge(other)), "vector", mirrored=Sample(both, edge(both)))


@pytest.mark.parametrize("lopsided", [False, True])
def test_the_selection_images_tell(lopsided: bool):
    view = make_view(lopsided)
    chosen = choose_training(view, choose_transform(view, seed=0), seed=0)
    assert chosen is (view.training if lopsided else view.mirrored)


def test_without_mirrored_images_there_is_nothing_to_choose():
    view = replace(make_view(False), mirrored=None)
    assert choose_training(view, choose_transform(view, seed=0), seed=0) is view.training
