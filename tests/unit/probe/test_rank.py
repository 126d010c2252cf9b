"""Effective rank against eigenvalues, and memory that does not change it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.cuts.graph import CutGraph
from goldcut.errors import BudgetError
from goldcut.probe import rank as room
from goldcut.probe.budget import image_bytes
from goldcut.probe.rank import effective_rank, effective_ranks
from goldcut.records import PricedCut
from goldcut.sources.images import Images


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


def test_several_passes_give_what_one_gives(
    graph: CutGraph, cuts: tuple[PricedCut, ...], images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = effective_ranks(graph, images, cuts)
    tight = 4 * len(images) * max(cut.elements for cut in cuts) + image_bytes(graph)
    several = effective_ranks(graph, images, cuts, batch_size=1, memory_bytes=tight)
    assert several.images == one.images == len(images)
    assert several.by_cut == pytest.approx(one.by_cut, rel=1e-5)
    groups = list(room._groups(cuts, max(cut.elements for cut in cuts)))
    assert len(groups) > 1
    assert [cut for group in groups for cut in group] == list(cuts)


def test_where_memory_is_short_every_cut_uses_the_same_fewer_images(
    graph: CutGraph, cuts: tuple[PricedCut, ...], images: Images
) -> None:
    largest = max(cut.elements for cut in cuts)
    found = effective_ranks(graph, images, cuts, batch_size=1, memory_bytes=4 * largest * 20 + image_bytes(graph))
    assert found.images == 20
    assert len(found.by_cut) == len(cuts)
    with pytest.raises(BudgetError, match="--memory"):
        effective_ranks(graph, images, cuts, memory_bytes=4 * largest * 2)


def test_the_number_of_passes_is_bounded() -> None:
    elements = [1000] * 100
    n = room._images_that_fit(5000, elements, memory_bytes=4 * 1000 * 500)
    assert n * sum(elements) <= room.PASSES * 1000 * 500
    assert room._images_that_fit(5000, elements, memory_bytes=2**40) == room.IMAGES
