"""The paper's networks: parameter counts against the published ones and other libraries, block indices, sizes."""

import math

import pytest
import torch
from torch import nn

from goldcut.errors import ModelError
from goldcut.models import NAMED
from goldcut.models.ir import IR
from goldcut.models.resnet import Bottleneck, ResNet
from goldcut.models.vgg import VGG19
from goldcut.models.vit import ViT


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def shapes(model: nn.Module, images: torch.Tensor, paths: list[str]) -> list[tuple[int, ...]]:
    """Shape of each module's output, without the batch."""
    seen: dict[str, tuple[int, ...]] = {}
    hooks = [
        model.get_submodule(path).register_forward_hook(
            lambda module, args, out, path=path: seen.update({path: tuple(out.shape[1:])})
        )
        for path in paths
    ]
    with torch.no_grad():
        model.eval()(images)
    for hook in hooks:
        hook.remove()
    return [seen[path] for path in paths]


def test_vgg19_has_the_features_of_torchvision_and_two_and_a_half_percent_at_layer_17():
    from torchvision.models import vgg19_bn

    with torch.device("meta"):
        ours, theirs = VGG19(), vgg19_bn()
    assert count(ours.features) == count(theirs.features)
    assert [type(layer) for layer in ours.features] == [type(layer) for layer in theirs.features]
    assert 100 * count(ours.features[:18]) / count(ours) == pytest.approx(2.5, abs=0.05)


def test_the_pools_of_vgg19_are_where_the_paper_reads():
    pools = [place for place, layer in enumerate(VGG19(width=2, hidden=4).features) if isinstance(layer, nn.MaxPool2d)]
    assert pools == [6, 13, 26, 39, 52]


def test_ir152_needs_more_than_78_percent_at_the_edge_at_block_49():
    with torch.device("meta"):
        model = IR()
    assert len(model.body) == 50
    edge = count(model.stem) + count(model.body[:48])
    assert 0.78 < edge / count(model) < 0.79
    assert sum(isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) for module in model.modules()) == 101


def test_the_last_stage_of_ir152_begins_with_block_49():
    model = IR(width=2, embedding=4)
    found = shapes(model, torch.rand(2, 3, 64, 64), ["stem", "body.38", "body.46", "body.47", "body.48"])
    assert found == [(2, 64, 64), (8, 8, 8), (8, 8, 8), (16, 4, 4), (16, 4, 4)]
    assert [math.prod(shape) * 32 for shape in found[2:4]] == [16384, 8192]  # published at full width


def test_vit_parameters_counted_by_hand():
    d, tokens = 128, 16 * 16 + 1
    block = 2 * 2 * d + (3 * d * d + 3 * d) + (d * d + d) + (4 * d * d + 4 * d) + (4 * d * d + d)
    with torch.device("meta"):
        assert count(ViT()) == 3 * 16 * d + d + d + tokens * d + 6 * block + 2 * d + 10 * d + 10


@pytest.mark.parametrize(
    ("name", "block", "units", "head"),
    [("resnet18", None, (2, 2, 2, 2), 512), ("resnet50", Bottleneck, (3, 4, 6, 3), 2048)],
)
def test_resnets_differ_from_torchvision_by_stem_and_head_alone(name, block, units, head):
    from torchvision import models

    with torch.device("meta"):
        theirs = getattr(models, name)(num_classes=10)
        ours = ResNet(units=units, **({"block": block} if block else {}))
    stem = 3 * 64 * (7 * 7 - 3 * 3)
    assert count(ours) == count(theirs) - stem + 3 * head * 10
    assert count(ours.layer4) == count(theirs.layer4)


def test_small_networks_are_of_the_same_form_and_at_most_a_fifth():
    for name in (name for name in NAMED if name.endswith("-small") and not name.startswith("cnn4")):
        with torch.device("meta"):
            small, large = NAMED[name][0](), NAMED[name.removesuffix("-small")][0]()
        assert type(small) is type(large)
        assert count(small) < count(large) / 5


@pytest.mark.parametrize("name", [name for name in NAMED if name.endswith("-small")])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 64, 64)])
def test_other_sizes_and_channels(name, shape):
    model = NAMED[name][0](channels=shape[0], classes=4, size=shape[1:])
    assert model(torch.rand(2, *shape)).shape == (2, 4)


def test_sizes_that_cannot_be():
    with pytest.raises(ModelError, match="28x28 pixels are too few"):
        VGG19(size=(28, 28))
    with pytest.raises(ModelError, match="do not tile an image of 30x30"):
        ViT(size=(30, 30))
