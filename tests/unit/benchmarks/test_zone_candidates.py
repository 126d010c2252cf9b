"""Candidate statistics against Jacobians written down, and what they must be indifferent to."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[3]))

from benchmarks.zone.candidates import (
    candidate_figures,
    distance_correlation,
    jacobian_figures,
    linear_cka,
    standardised,
    within_share,
)
from benchmarks.zone.targets import Plain, Transformer

from goldcut.cuts import find_cuts


def images(count: int = 64, channels: int = 1, size: int = 4) -> torch.Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def linear_edge(matrix: torch.Tensor):
    return lambda x: x.flatten(1) @ matrix.T


def test_an_isometry_has_gain_one_and_full_rank():
    matrix = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(1)))[0]
    figures = jacobian_figures(linear_edge(matrix), images(), probes=4)
    assert figures.gain == pytest.approx(1, rel=1e-3)
    assert figures.local_rank == pytest.approx(16, rel=1e-3)


def test_a_linear_edge_has_the_figures_of_its_matrix():
    matrix = torch.randn(5, 16, generator=torch.Generator().manual_seed(2))
    x = images(400)
    figures = jacobian_figures(linear_edge(matrix), x, probes=8)
    gram = matrix.double() @ matrix.double().T
    rank = float(gram.trace() ** 2 / (gram @ gram).trace())
    z = (x.flatten(1) @ matrix.T).double()
    gain = (
        float(gram.trace())
        * float(x.double().flatten(1).var(0, correction=0).mean())
        / float(z.var(0, correction=0).sum())
    )
    assert figures.local_rank == pytest.approx(rank, rel=0.1)
    assert figures.gain == pytest.approx(gain, rel=0.05)


def test_figures_do_not_see_a_scale_of_z():
    matrix = torch.randn(6, 16, generator=torch.Generator().manual_seed(3))
    one, other = (jacobian_figures(linear_edge(scale * matrix), images()) for scale in (1.0, 7.0))
    assert one.gain == pytest.approx(other.gain, rel=1e-4)
    assert one.amplification == pytest.approx(other.amplification, rel=1e-4)
    assert one.local_rank == pytest.approx(other.local_rank, rel=1e-4)


def test_cka_and_distance_correlation_of_a_rotated_copy_are_one():
    x = images().flatten(1)
    rotated = 3 * x @ torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(4)))[0] + 2
    assert linear_cka(x, rotated) == pytest.approx(1, abs=1e-5)
    assert distance_correlation(x, rotated) == pytest.approx(1, abs=1e-5)


def test_cka_is_the_squared_correlation_in_one_dimension():
    rng = np.random.default_rng(5)
    x, y = rng.random(50), rng.random(50)
    cka = linear_cka(torch.from_numpy(x)[:, None], torch.from_numpy(y)[:, None])
    assert cka == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_standardised_does_not_see_a_scale_per_channel():
    z = torch.randn(30, 3, 4, 4, generator=torch.Generator().manual_seed(6))
    scale = torch.tensor([1.0, 10.0, 0.1])[:, None, None]
    torch.testing.assert_close(standardised(z, "map"), standardised(z * scale, "map"))


def test_within_share_by_hand():
    z = torch.tensor([[0.0], [2.0], [4.0], [6.0]])
    assert within_share(z, torch.tensor([0, 0, 1, 1])) == pytest.approx(4 / 20)


@pytest.mark.parametrize(
    "model", [Transformer(1, dim=12, depth=1, patch=8), Plain(1, "4/2 6 M", 6 * 64, (8,))], ids=["tokens", "maps"]
)
def test_every_cut_of_a_target_gets_every_candidate(model):
    graph = find_cuts(model.eval(), (1, 32, 32))
    names = [cut.name for cut in graph.at_level("block")]
    found = candidate_figures(graph, names, images(8, 1, 32), few=4)
    assert list(found) == names
    assert all(np.isfinite(list(figures.values())).all() for figures in found.values())
