"""Distance correlation against its definition by sums, and what must not move it."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.probe.dependence import distance_correlation, distances, image_dependence, standardise
from goldcut.probe.geometry import FOLDS
from goldcut.probe.moments import Layout


def by_sums(x: np.ndarray, z: np.ndarray) -> float:
    """Szekely, Rizzo, Bakirov (2007), remark 3: S1 + S2 - 2 S3 of the distances."""
    n = len(x)
    far = [[[math.dist(a, b) for b in part] for a in part] for part in (x, z)]

    def covariance(a: list[list[float]], b: list[list[float]]) -> float:
        pairs = list(itertools.product(range(n), repeat=2))
        s1 = sum(a[i][j] * b[i][j] for i, j in pairs) / n**2
        s2 = sum(a[i][j] for i, j in pairs) / n**2 * sum(b[i][j] for i, j in pairs) / n**2
        s3 = sum(a[i][j] * b[i][k] for i, j in pairs for k in range(n)) / n**3
        return s1 + s2 - 2 * s3

    return math.sqrt(covariance(*far) / math.sqrt(covariance(far[0], far[0]) * covariance(far[1], far[1])))


def sample(seed: int, n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), n=st.integers(3, 9), d=st.integers(1, 4))
def test_equals_the_definition_by_sums(seed: int, n: int, d: int) -> None:
    x = sample(seed, n, 3)
    z = x[:, :1].repeat(1, d) + sample(seed + 100, n, d)
    found = distance_correlation(distances(x), distances(z))
    assert found == pytest.approx(by_sums(x.numpy().astype(float), z.numpy().astype(float)), rel=1e-3)


def test_distances_are_those_of_the_rows() -> None:
    x = sample(0, 20, 30) + 50
    np.testing.assert_allclose(distances(x), torch.cdist(x.double(), x.double()), atol=1e-3)


@pytest.mark.parametrize("layout", [Layout(1, 6, 4), Layout(4, 6, 1), Layout(1, 24, 1)], ids=str)
def test_a_scale_per_channel_and_a_shift_change_nothing(layout: Layout) -> None:
    x, z = sample(1, 60, 10), sample(2, 60, 24)
    z[:, :10] += x
    scales = torch.linspace(0.1, 20, layout.channels).view(1, -1, 1)
    moved = (z.view(-1, layout.before, layout.channels, layout.after) * scales).reshape(60, -1) + sample(3, 1, 24)
    np.testing.assert_allclose(image_dependence(x, moved, layout), image_dependence(x, z, layout), rtol=1e-4)


def test_halving_the_channels_hardly_moves_it() -> None:
    """Random features of the same image: half of them tell as much of the distances as all."""
    x = sample(4, 200, 20)
    z = torch.relu(x @ sample(5, 20, 512))
    whole, half = image_dependence(x, z, Layout(1, 512, 1)), image_dependence(x, z[:, ::2], Layout(1, 256, 1))
    twice = image_dependence(x, z.repeat_interleave(2, 1), Layout(1, 1024, 1))
    assert whole is not None
    assert half is not None
    assert abs(whole[0] - half[0]) < 0.02
    np.testing.assert_allclose(twice, whole, rtol=1e-4)


def test_from_all_to_nothing() -> None:
    x = sample(6, 200, 8)
    same = image_dependence(x, x @ torch.linalg.qr(sample(7, 8, 8))[0], Layout(1, 1, 8))
    other = image_dependence(x, sample(8, 200, 2), Layout(1, 2, 1))
    assert same is not None
    assert other is not None
    assert same[0] == pytest.approx(1, abs=1e-3)
    assert other[0] < 0.3
    assert len(same) == 1 + FOLDS
    assert np.ptp(other[1:]) > 0


def test_where_nothing_varies_there_is_none() -> None:
    assert image_dependence(sample(9, 20, 4), torch.ones(20, 3), Layout(1, 3, 1)) is None


def test_a_channel_that_does_not_vary_counts_for_nothing() -> None:
    z = sample(10, 30, 2)
    with_constant = torch.cat([z, torch.full((30, 1), 7.3)], dim=1)
    standardised = standardise(with_constant, Layout(1, 3, 1))
    torch.testing.assert_close(standardised[:, :2], standardise(z, Layout(1, 2, 1)))
    assert not standardised[:, 2].any()
