"""Retrieval among 20 of one label: chance, ties and the perfect score."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.metrics.identification import CANDIDATES, identification_per_victim


def draw(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 70), min_size=1, max_size=4), st.integers(0, 2**31))
def test_what_is_constant_over_a_label_scores_exactly_chance(sizes: list[int], seed: int):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    victims = draw(len(labels))
    constant = draw(len(sizes), seed=1)[labels]
    scores = identification_per_victim(constant, victims, labels, seed=seed)
    assert np.isfinite(scores).sum() == sum(size // CANDIDATES * CANDIDATES for size in sizes)
    if np.isfinite(scores).any():
        assert np.nanmean(scores) == pytest.approx(1 / 20, abs=1e-12)


def test_perfect_reconstructions_are_always_found():
    labels = np.arange(60) % 3
    victims = draw(60)
    np.testing.assert_array_equal(identification_per_victim(victims, victims, labels, seed=0), np.ones(60))


def test_twins_share_their_place():
    victims = draw(20)
    victims[7] = victims[11]
    scores = identification_per_victim(victims, victims, np.zeros(20, dtype=np.int64), seed=0)
    assert scores[7] == scores[11] == 0.5
    assert scores.sum() == 19


def test_agrees_with_a_plain_loop():
    labels = np.zeros(20, dtype=np.int64)
    victims, made = draw(20), draw(20) + 0.4 * torch.randn(20, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    expected = [int(np.argmin([((made[i] - victims[j]) ** 2).mean() for j in range(20)]) == i) for i in range(20)]
    np.testing.assert_array_equal(identification_per_victim(made, victims, labels, seed=5), expected)
