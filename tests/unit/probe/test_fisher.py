"""The Fisher leakage against Jacobians that are known, and the inequality that it stands for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import jacrev, vmap

from goldcut.cuts.graph import find_cuts
from goldcut.probe.fisher import jacobian_power
from goldcut.probe.promise import clip_norm
from goldcut.sources.images import from_arrays
from goldcut.study.neighbours import IMAGES, fisher_leakage

SHAPE = (1, 4, 4)


def source() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(48, 5)).eval()


def exact(edge, images: torch.Tensor) -> torch.Tensor:
    """tr(J'J) from the whole Jacobian."""
    jacobians = vmap(jacrev(lambda one: edge(one[None])[0]))(images)
    return jacobians.detach().flatten(1).square().sum(1).double()


@given(rows=st.integers(1, 8), seed=st.integers(0, 99), scale=st.floats(0.01, 100))
def test_a_linear_map_with_orthogonal_rows_is_exact(rows, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(16, 16, generator=generator))
    weight = scale * turn[:rows]
    images = torch.rand(3, *SHAPE, generator=generator)
    powers = jacobian_power(lambda x: x.flatten(1) @ weight.T, images, generator, probes=1)
    assert powers.tolist() == pytest.approx([float(weight.square().sum())] * 3, rel=1e-4)


@pytest.mark.parametrize("norm", [0.5, 1e6], ids=["clipped", "free"])
def test_a_small_network_by_its_whole_jacobian(norm):
    edge, images = network()[:2], torch.rand(6, *SHAPE, generator=source())
    wanted = exact(lambda x: clip_norm(edge(x), norm), images)
    found = jacobian_power(lambda x: clip_norm(edge(x), norm), images, source(), probes=1000)
    assert found.tolist() == pytest.approx(wanted.tolist(), rel=0.1)


def test_what_does_not_change_with_the_image_has_no_power():
    assert jacobian_power(lambda x: 0 * x, torch.rand(2, *SHAPE), source()).tolist() == [0, 0]


def leakage(sigma: float, norm: float = 1e6):
    model = network()
    graph = find_cuts(model, SHAPE)
    pixels = np.random.default_rng(0).integers(0, 256, (160, 4, 4), dtype=np.uint8)
    images = from_arrays(pixels, np.arange(160) % 4)
    return fisher_leakage(graph, graph.cut("1"), images, norm, sigma), images, model


def test_the_figure_is_the_mean_over_images_by_noise_and_pixels():
    found, images, model = leakage(0.5)
    chosen = np.sort(np.random.default_rng(0).permutation(len(images))[:IMAGES])
    batch = images.batch(chosen)
    each = exact(model[:2], batch) / (16 * 0.25)
    assert found.leakage == pytest.approx(float(each.mean()), rel=0.05)
    assert found.leakage_low < found.leakage < found.leakage_high
    assert found.unbiased_mse == pytest.approx(1 / found.leakage)
    assert found.mean_image_mse == pytest.approx(float(batch.var(0, correction=0).mean()))
    assert leakage(0.25)[0].leakage == pytest.approx(4 * found.leakage)
    assert leakage(0.5, norm=0.1)[0].leakage < found.leakage


def test_no_unbiased_estimate_beats_the_floor_and_one_reaches_it():
    generator = source()
    turn, _ = torch.linalg.qr(torch.randn(16, 16, generator=generator))
    for weight, reached in ((2 * turn, True), (turn * torch.linspace(0.5, 3, 16), False)):
        images = torch.rand(4000, *SHAPE, generator=generator)
        power = jacobian_power(lambda x, weight=weight: x.flatten(1) @ weight.T, images[:1], generator, probes=2000)
        floor = 16 * 0.3**2 / float(power)
        sent = images.flatten(1) @ weight.T + 0.3 * torch.randn(4000, 16, generator=generator)
        error = float((sent @ torch.linalg.inv(weight).T - images.flatten(1)).square().mean())
        assert error >= 0.97 * floor
        assert (error == pytest.approx(floor, rel=0.03)) == reached
