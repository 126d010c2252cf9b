"""Effective rank against eigenvalues."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.probe.rank import effective_rank


@settings(max_examples=30, deadline=None)
@given(n=st.integers(3, 25), d=st.integers(1, 40), seed=st.integers(0, 99))
def test_rank_is_the_participation_ratio_of_the_eigenvalues(n: int, d: int, seed: int) -> None:
    z = np.random.default_rng(seed).normal(size=(n, d)) * np.arange(1, d + 1) + 5
    eigenvalues = np.linalg.eigvalsh(np.cov(z.astype(np.float32).T.reshape(d, n).astype(np.float64)).reshape(d, d))
    found = effective_rank(torch.from_numpy(z).float())
    assert found == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-4)
    assert 1 - 1e-5 <= found <= min(n - 1, d) + 1e-3


def test_rank_counts_directions_and_knows_nothing_of_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(400, 3, generator=generator) @ torch.linalg.qr(torch.randn(50, 3, generator=generator)).Q.T
    found = effective_rank(z.clone())
    assert found == pytest.approx(3, abs=0.1)
    assert effective_rank(1e-12 * z) == pytest.approx(found, rel=1e-5)
    assert effective_rank(1e12 * z) == pytest.approx(found, rel=1e-5)


def test_what_does_not_vary_has_no_rank() -> None:
    assert effective_rank(torch.full((5, 3), 0.1)) is None
    assert effective_rank(torch.zeros(5, 3)) is None
