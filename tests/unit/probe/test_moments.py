"""Moments against the two-pass definition, and the algebra of merging."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.probe.moments import Layout, Moments, pool

SHAPES = {"map": (3, 5, 4), "tokens": (7, 6), "vector": (9,)}


def channel_of(kind: str, place: tuple[int, ...]) -> int:
    return place[-1] if kind == "tokens" else place[0]


def two_passes(z: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and per-channel scatter by the definition, element by element."""
    z = z.astype(np.float64)
    mean = z.mean(0)
    channels = z.shape[-1] if kind == "tokens" else z.shape[1]
    scatter = np.zeros(channels)
    for place in itertools.product(*map(range, z.shape[1:])):
        column = z[(slice(None), *place)]
        scatter[channel_of(kind, place)] += ((column - mean[place]) ** 2).sum()
    return mean.reshape(-1), scatter


def sample(kind: str, n: int, seed: int = 0, offset: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, *SHAPES[kind], generator=generator) + offset


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_groups_match_the_two_pass_definition(kind: str, offset: float) -> None:
    z = sample(kind, 40, offset=offset)
    groups = torch.arange(40) * 7 % 3
    made = Moments.of(z, Layout.of_cut(kind, SHAPES[kind]), groups, n_groups=4)
    assert made.count.tolist() == [14, 13, 13, 0]
    for group in range(3):
        mean, scatter = two_passes(z[groups == group].numpy(), kind)
        np.testing.assert_allclose(made.mean[group], mean, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(made.scatter[group], scatter, rtol=1e-6)


@pytest.mark.parametrize("kind", SHAPES)
def test_many_chunks_are_one(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    z, layout = sample(kind, 33), Layout.of_cut(kind, SHAPES[kind])
    whole = Moments.of(z, layout)
    monkeypatch.setattr("goldcut.probe.moments.CACHED", 3 * layout.elements)
    torch.testing.assert_close(Moments.of(z, layout).scatter, whole.scatter, rtol=1e-6, atol=0)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=7),
    order=st.randoms(use_true_random=False),
    kind=st.sampled_from(sorted(SHAPES)),
)
def test_shards_merge_in_any_order_and_bracketing(sizes: list[int], order, kind: str) -> None:
    layout = Layout.of_cut(kind, SHAPES[kind])
    shards = [
        Moments.of(sample(kind, size, seed), layout, torch.arange(size) % 2, 2) for seed, size in enumerate(sizes)
    ]
    straight = shards[0]
    for shard in shards[1:]:
        straight = straight.merge(shard)
    heap = list(shards)
    while len(heap) > 1:
        order.shuffle(heap)
        heap.append(heap.pop().merge(heap.pop()))
    torch.testing.assert_close(heap[0].count, straight.count, rtol=0, atol=0)
    torch.testing.assert_close(heap[0].mean, straight.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(heap[0].scatter, straight.scatter, rtol=1e-12, atol=1e-12)


def test_merge_leaves_its_parts_alone_and_absorb_does_not() -> None:
    layout = Layout.of_cut("vector", (9,))
    left, right = Moments.of(sample("vector", 4), layout), Moments.of(sample("vector", 3, 1), layout)
    left.merge(right)
    assert left.count.item() == 4
    left.absorb(right)
    assert left.count.item() == 7
    left.clear()
    torch.testing.assert_close(left.merge(right).scatter, right.scatter)


@pytest.mark.parametrize("kind", SHAPES)
def test_pool_is_all_groups_and_all_but_one(kind: str) -> None:
    z, groups = sample(kind, 30, offset=2.0), torch.arange(30) % 4
    pooled = pool(Moments.of(z, Layout.of_cut(kind, SHAPES[kind]), groups, 4))
    kept = [torch.ones(30, dtype=torch.bool), *(groups != group for group in range(4))]
    for view, mask in enumerate(kept):
        _, scatter = two_passes(z[mask].numpy(), kind)
        assert pooled.count[view] == mask.sum()
        np.testing.assert_allclose(pooled.scatter[view], scatter, rtol=1e-6)
    np.testing.assert_allclose(pooled.mean, two_passes(z.numpy(), kind)[0], rtol=1e-6, atol=1e-6)


def test_one_sample_has_no_scatter_and_half_precision_is_read() -> None:
    layout = Layout.of_cut("vector", (9,))
    assert Moments.of(sample("vector", 1), layout).scatter.sum() == 0
    z = sample("vector", 12).bfloat16()
    np.testing.assert_allclose(Moments.of(z, layout).scatter[0], two_passes(z.float().numpy(), "vector")[1], rtol=1e-6)


def test_a_pool_without_two_samples_left_is_nothing() -> None:
    layout = Layout.of_cut("vector", (9,))
    pooled = pool(Moments.of(sample("vector", 2), layout, torch.tensor([0, 1]), 2))
    assert pooled.scatter[1:].abs().sum() == 0
