"""The same structure with other weights, trainable, and nothing of the given model in it."""

import pytest
import torch
from torch import Tensor, nn

import models
from goldcut.cuts import CutGraph, find_cuts
from goldcut.cuts.redraw import BatchNorm, calibrate, redraw
from goldcut.cuts.split import copy_part


def edge_of(graph: CutGraph, name: str) -> torch.fx.GraphModule:
    return copy_part(graph.module, source=None, result=graph.node(name))


def shapes(module: nn.Module) -> list[tuple[int, ...]]:
    return sorted(tuple(weight.shape) for weight in module.parameters())


@pytest.mark.parametrize("name", models.ZOO)
def test_every_cut_of_the_zoo_has_its_structure_and_all_weights_learn(name: str):
    graph = models.cut_zoo(name)
    given = {key: value.clone() for key, value in graph.module.state_dict().items()}
    x = models.images(4)
    for cut in graph.cuts:
        edge = edge_of(graph, cut.name)
        drawn = redraw(edge, seed=1)
        calibrate(drawn, x)
        assert shapes(drawn) == shapes(edge)
        drawn.train()
        z = drawn(x)
        assert z.shape == (4, *cut.shape)
        (z * torch.randn(z.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
        assert all(weight.requires_grad and weight.grad is not None for weight in drawn.parameters())
        own = {weight.data_ptr() for weight in edge.parameters()}
        assert own.isdisjoint(weight.data_ptr() for weight in drawn.parameters())
    assert all(torch.equal(value, given[key]) for key, value in graph.module.state_dict().items())
    assert all(weight.grad is None for weight in graph.module.parameters())


class Deep(nn.Sequential):
    """Twenty layers of convolution, batch norm and ReLU, whose kept statistics say nothing of other weights."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for before in (3, *[8] * 19):
            layers += [nn.Conv2d(before, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
        super().__init__(*layers, nn.Flatten(), nn.Linear(8 * 64, 10))
        for norm in self.modules():
            if isinstance(norm, nn.BatchNorm2d):
                nn.init.constant_(norm.running_mean, 30.0)
                nn.init.constant_(norm.running_var, 1e4)


def test_a_deep_net_is_calibrated():
    graph = find_cuts(Deep().eval(), (3, 8, 8))
    drawn = redraw(edge_of(graph, "58"), seed=0)  # the twentieth batch norm
    x = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    calibrate(drawn, x)
    z = drawn(x)
    assert not drawn.training
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(8), atol=1e-2)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(8), atol=2e-2)
    assert all(norm.momentum == 0.1 for norm in drawn.modules() if isinstance(norm, BatchNorm))


class Assorted(nn.Module):
    """One of each use of a parameter that is drawn in a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.group, self.act = nn.GroupNorm(2, 8), nn.PReLU()
        self.scale, self.place = nn.Parameter(torch.full((8, 1, 1), 9.0)), nn.Parameter(torch.full((1, 36, 8), 9.0))
        self.layer, self.twice = nn.LayerNorm(8), nn.Linear(8, 8)
        self.head = nn.Linear(36 * 8, 4)
        self.register_buffer("middle", torch.full((3, 1, 1), 0.4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.group(self.conv(x - self.middle))) * self.scale
        x = self.layer(x.flatten(2).transpose(1, 2) + self.place)
        return self.head(self.twice(self.twice(x).relu()).flatten(1))


def test_parameters_are_drawn_by_what_they_are_used_for():
    graph = find_cuts(Assorted().eval(), (3, 8, 8))
    drawn = {name.removeprefix("model."): w for name, w in redraw(graph.module, seed=0).state_dict().items()}
    for name in ("group.weight", "layer.weight", "scale"):
        assert torch.equal(drawn[name], torch.ones_like(drawn[name]))
    for name in ("group.bias", "layer.bias", "conv.bias", "twice.bias"):
        assert torch.equal(drawn[name], torch.zeros_like(drawn[name]))
    assert drawn["act.weight"].item() == 0.25
    assert 0.01 < drawn["place"].std() < 0.03
    assert drawn["head.weight"].std() == pytest.approx((2 / 288) ** 0.5, rel=0.1)
    assert drawn["conv.weight"].std() == pytest.approx((2 / 27) ** 0.5, rel=0.2)


def test_the_preparation_of_images_is_structure_and_the_seed_decides_the_rest():
    graph = find_cuts(Assorted().eval(), (3, 8, 8))
    first, again, other = (redraw(graph.module, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(dict(first.named_buffers())["model.middle"], torch.full((3, 1, 1), 0.4))
    x = models.images(2, (3, 8, 8))
    assert torch.equal(first(x), again(x))
    assert not torch.equal(first(x), other(x))
