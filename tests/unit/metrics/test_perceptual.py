"""LPIPS against its definition, written out, on a network of random weights in the place of the published ones."""

from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchmetrics.functional.image.lpips as published
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import alexnet

from goldcut.errors import ModelError
from goldcut.metrics.perceptual import load_lpips
from goldcut.metrics.witness import Witness

LAYERS = (1, 4, 7, 9, 11)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return alexnet(weights=None).eval()


@pytest.fixture(scope="module")
def witness(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "checkpoints").mkdir()
    torch.save(network.state_dict(), folder / "checkpoints" / "alexnet-owt-7be5be79.pth")
    before = torch.hub.get_dir()
    torch.hub.set_dir(folder)
    try:
        yield load_lpips()
    finally:
        torch.hub.set_dir(before)


def images(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def by_definition(network: nn.Module, made: Tensor, truth: Tensor) -> Tensor:
    """Equation 1 of R. Zhang et al. 2018."""
    linear = torch.load(Path(published.__file__).parent / "lpips_models" / "alex.pth", map_location="cpu")
    shift, scale = (torch.tensor(part)[:, None, None] for part in (SHIFT, SCALE))
    x, y = (((2 * part - 1) - shift) / scale for part in (made, truth))
    total = torch.zeros(len(made))
    for place, layer in enumerate(network.features):
        x, y = layer(x), layer(y)
        if place in LAYERS:
            weights = linear[f"lin{LAYERS.index(place)}.model.1.weight"]
            unit = [part / part.square().sum(1, keepdim=True).sqrt().clamp_min(1e-6) for part in (x, y)]
            total += (weights * (unit[0] - unit[1]).square()).sum(1).mean((1, 2))
    return total


def test_it_is_what_it_is_defined_to_be(witness: Witness, network: nn.Module):
    made, truth = images(1, 5, 3, 64, 80), images(2, 5, 3, 64, 80)
    with torch.no_grad():
        expected = by_definition(network, made, truth)
    assert witness.per_image(made, truth).tolist() == pytest.approx(expected.tolist(), rel=1e-3)
    assert expected.min() > 0


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 20, 36)])
def test_it_grows_with_the_distance_and_is_zero_for_the_image_itself(witness: Witness, shape: tuple[int, ...]):
    truth = images(3, 6, *shape)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(4))
    none, little, much = (
        witness.per_image((truth + part * noise).clamp(0, 1), truth).mean() for part in (0, 0.05, 0.4)
    )
    assert none == 0
    assert 0 < little < much


def test_missing_weights_are_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object, **options: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(ModelError, match=r"weights of AlexNet, which are not at .*alexnet-owt-7be5be79.pth"):
        load_lpips()


def test_gray_and_colour_are_seen_alike(witness: Witness):
    gray = images(5, 4, 1, 40, 40), images(6, 4, 1, 40, 40)
    colour = (part.expand(-1, 3, -1, -1) for part in gray)
    assert torch.equal(witness.per_image(*gray), witness.per_image(*colour))
    assert functional.mse_loss(*gray) > 0
