"""The edge half that an attacker builds from its structure: at the attack's size, laid out, trainable."""

import pytest
import torch
from torch import Tensor, nn

from goldcut.attacks.blank import Blank
from goldcut.attacks.features import enlarge
from goldcut.attacks.layout import lay_out
from goldcut.cuts import find_cuts
from goldcut.cuts.split import copy_part


class Net(nn.Module):
    """A convolution, a strided one, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.shallow = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.ReLU())
        self.flatten, self.head = nn.Flatten(), nn.Linear(8 * 144, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flatten(self.deep(self.shallow(x))))


def draw_images() -> Tensor:
    return torch.randint(256, (80, 1, 12, 12), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


@pytest.mark.parametrize("name", ["shallow", "deep", "flatten", "output"])
def test_takes_images_of_the_attack_and_gives_z_as_it_is_laid_out(name: str):
    net = Net().eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    graph = find_cuts(net, (1, 24, 24))
    cut = graph.cut(name)
    layout = lay_out(cut, graph.cuts)
    half = copy_part(graph.module, source=None, result=graph.node(name))
    images = draw_images()
    blank = Blank(half, lambda x: enlarge(x, (1, 24, 24)), layout, seed=5).calibrated(images, "cpu")
    z = blank(images[:7].float() / 255)
    assert z.shape == (7, *layout.shape)
    assert z.dtype == torch.float32
    assert not blank.training
    z.square().sum().backward()
    assert all(weight.grad is not None for weight in blank.parameters())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    given = {weight.shape: weight for weight in net.parameters() if weight.ndim > 1}
    for weight in blank.parameters():
        assert weight.ndim < 2 or not torch.allclose(weight, given[weight.shape], atol=1e-3)


def test_statistics_come_from_the_attackers_images():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(400, 3)).eval()
    graph = find_cuts(net, (1, 12, 12))
    half = copy_part(graph.module, source=None, result=graph.node("1"))
    images = draw_images()[:64]
    blank = Blank(half, lambda x: x, lambda z: z, seed=5).calibrated(images, "cpu")
    z = blank(images.float() / 255)
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(4), atol=1e-3)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(4), atol=1e-3)
