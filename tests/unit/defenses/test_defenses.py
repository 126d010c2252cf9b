"""What each defence does to Z, against its definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.cuts import find_cuts, split_at
from goldcut.cuts.defended import attach
from goldcut.cuts.redraw import redraw
from goldcut.defenses.calibration import build_at
from goldcut.defenses.noise import GaussianNoise, LaplaceNoise, deviation
from goldcut.defenses.quantise import Quantise
from goldcut.defenses.sparse import Dropout, TopK
from goldcut.sources.images import from_arrays
from models import cut_zoo, images


def z_of(n: int = 200) -> torch.Tensor:
    return 3 * torch.randn(n, 8, 5, 5, generator=torch.Generator().manual_seed(0)) + 10


def test_the_deviation_is_around_the_mean_representation() -> None:
    z = z_of().numpy().astype(np.float64)
    assert deviation(z_of()) == pytest.approx(float(np.sqrt(((z - z.mean(0)) ** 2).mean())), rel=1e-5)


@pytest.mark.parametrize(("kind", "kurtosis"), [(GaussianNoise, 3.0), (LaplaceNoise, 6.0)])
def test_noise_has_the_deviation_it_says_and_its_own_shape(kind, kurtosis) -> None:
    z = z_of()
    noise = (kind(0.4).build(z, 0)(z) - z).double().flatten()
    assert float(noise.std()) == pytest.approx(0.4 * deviation(z), rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.03)
    assert float((noise**4).mean() / (noise**2).mean() ** 2) == pytest.approx(kurtosis, rel=0.08)


def test_the_scale_stands_for_all_classes_of_a_folder_that_comes_class_by_class() -> None:
    """The first half is one class of faint images; the noise is what the whole set needs."""
    generator = np.random.default_rng(0)
    faint, loud = (generator.integers(128 - width, 128 + width, (600, 4, 4, 1), dtype=np.uint8) for width in (4, 100))
    scanned = from_arrays(np.concatenate([faint, loud]), np.repeat([0, 1], 600))
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(32, 2))
    graph = find_cuts(model.eval(), (1, 4, 4))
    noise = build_at(graph, ["0"], scanned, GaussianNoise(0.3))["0"]
    with torch.no_grad():
        z = model[0](scanned.batch(range(1200)))
        sent = noise(z)
    assert float((sent - z).std()) == pytest.approx(0.3 * deviation(z), rel=0.1)


def test_each_pass_brings_its_own_noise() -> None:
    z, module = z_of(), GaussianNoise(0.4).build(z_of(), 0)
    first, second = (module(z) - z).flatten(), (module(z) - z).flatten()
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.02


def test_dropout_leaves_the_share_it_says_and_the_mean() -> None:
    z = z_of()
    sent = Dropout(0.3).build(z, 1)(z)
    assert float((sent == 0).double().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(sent.mean()) == pytest.approx(float(z.mean()), rel=0.02)
    torch.testing.assert_close(sent[sent != 0], z[sent != 0] / 0.7)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.01, 0.99))
def test_topk_keeps_the_largest(share: float) -> None:
    z = z_of(5) - 10
    sent = TopK(share).build(z, 0)(z).flatten(1)
    kept = max(1, round(share * 200))
    for row, before in zip(sent, z.flatten(1), strict=True):
        assert int((row != 0).sum()) == kept
        torch.testing.assert_close(row[row != 0], before[row != 0])
        assert before[row == 0].abs().max() <= row[row != 0].abs().min()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_quantised_values_are_the_nearest_levels(bits: int) -> None:
    z = z_of()
    sent = Quantise(bits).build(z, 0)(z)
    levels = np.linspace(float(z.min()), float(z.max()), 2**bits)
    nearest = levels[np.abs(z.numpy().reshape(-1, 1) - levels).argmin(1)]
    np.testing.assert_allclose(sent.numpy().reshape(-1), nearest, atol=1e-4)
    assert len(sent.unique()) <= 2**bits
    outside = Quantise(bits).build(z, 0)(torch.full((1, 2), 1e3))
    assert float(outside[0, 0]) == pytest.approx(float(z.max()), rel=1e-6)


def test_who_knows_only_the_architecture_knows_the_defence() -> None:
    graph = cut_zoo("Residual")
    name = graph.at_level("block")[0].name
    z = split_at(graph, name).edge(images(8))
    edge = split_at(attach(graph, {name: TopK(0.1).build(z, 0)}, "topk:0.1"), name).edge
    blank = redraw(edge, seed=1)
    assert float((blank.eval()(images(8)) != 0).double().mean()) <= 0.11
