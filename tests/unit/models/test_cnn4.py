import pytest
import torch

from goldcut.models import NAMED
from goldcut.models.cnn4 import CNN4


@pytest.mark.parametrize("size", [8, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_network_takes_every_size(size: int, channels: int) -> None:
    model = CNN4(channels=channels, width=4, classes=7).eval()
    assert model(torch.rand(2, channels, size, size)).shape == (2, 7)


def test_width_doubles_from_block_to_block() -> None:
    widths = [layer.out_channels for layer in CNN4(width=5).modules() if isinstance(layer, torch.nn.Conv2d)]
    assert widths == [5, 10, 20, 40]


def test_parameters_counted_by_hand() -> None:
    convolutions = 9 * (1 * 4 + 4 * 8 + 8 * 16 + 16 * 32)
    norms = 2 * (4 + 8 + 16 + 32)
    head = 32 * 10 + 10
    assert sum(p.numel() for p in CNN4(width=4).parameters()) == convolutions + norms + head


def test_every_parameter_is_trained() -> None:
    model = CNN4(width=4)
    model(torch.rand(4, 1, 28, 28)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("name", NAMED)
def test_named_networks_take_their_usual_images(name: str) -> None:
    kind, shape = NAMED[name]
    with torch.device("meta"):  # shapes alone: some are large
        assert kind(channels=shape[0], classes=3, size=shape[1:]).eval()(torch.rand(2, *shape)).shape == (2, 3)
