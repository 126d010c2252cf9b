"""A mask over Z is found, and what it lets through is put together again."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from goldcut.attacks.features import read_features
from goldcut.attacks.layout import lay_out
from goldcut.attacks.masks import estimate_share, find_masks
from goldcut.cuts import CutGraph, find_cuts
from goldcut.cuts.defended import attach
from goldcut.defenses.suite import read_defense
from goldcut.progress import silent

QUERIES = 8


def draw(n: int, seed: int) -> Tensor:
    return torch.randn(n, 50, generator=torch.Generator().manual_seed(seed)).relu()


@given(st.floats(0.1, 0.9), st.integers(0, 100))
def test_the_share_is_that_of_the_mask_whether_or_not_z_has_zeros(share, seed):
    z, chance = draw(400, seed), torch.Generator().manual_seed(1000 + seed)
    once, again = (z * (torch.rand(z.shape, generator=chance) < share) / share for _ in range(2))
    assert estimate_share(once, again) == pytest.approx(share, abs=0.03)


def test_what_is_no_mask():
    z = draw(20, 0)
    assert estimate_share(z, z) is None  # always the same
    assert estimate_share(z, z + 0.1 * draw(20, 1)) is None  # noise
    assert estimate_share(torch.zeros(2, 3), torch.zeros(2, 3)) is None  # nothing came


def defended(net, parts, spec: str) -> tuple[CutGraph, dict[str, Tensor]]:
    """A graph with a defence at two cuts, and Z of the selection images without it."""
    graph, images = find_cuts(net, (1, 12, 12)), parts.selection.batch(np.arange(len(parts.selection)))
    with torch.no_grad():
        shallow = net.shallow(images)
        plain = {"shallow": shallow, "deep": net.deep(shallow)}
    modules = {graph.cut(name).name: read_defense(spec).build(z, seed=3) for name, z in plain.items()}
    return attach(graph, modules, spec), {graph.cut(name).name: z for name, z in plain.items()}


def read(graph: CutGraph, parts, names, masks) -> dict[str, Tensor]:
    layouts = {name: lay_out(graph.cut(name), graph.cuts) for name in names}
    into = {name: torch.empty(len(parts.selection), *layouts[name].shape) for name in names}
    read_features(
        graph,
        parts.selection,
        layouts,
        into,
        queries=QUERIES,
        masks=masks,
        logits=False,
        device="cpu",
        task="Z",
        progress=silent,
    )
    return into


def test_several_passes_give_z_wherever_an_element_came(net, parts):
    graph, plain = defended(net, parts, "dropout:0.6")
    shares = find_masks(graph, parts.selection, list(plain), "cpu")
    assert shares == {name: pytest.approx(0.4, abs=0.02) for name in plain}
    seen = read(graph, parts, plain, shares)
    for name, z in plain.items():
        came = seen[name] != 0
        exact = seen[name][came] / z[came]
        torch.testing.assert_close(exact, torch.full_like(exact, float(exact[0])))  # but for one factor, estimated
        assert float(exact[0]) == pytest.approx(1, abs=0.05)
        missing = float((~came & (z != 0)).sum() / (z != 0).sum())
        assert missing == pytest.approx(0.6**QUERIES, abs=0.01)


def test_it_errs_less_than_the_mean_over_passes(net, parts):
    graph, plain = defended(net, parts, "dropout:0.6")
    shares = find_masks(graph, parts.selection, list(plain), "cpu")
    for name, z in plain.items():
        mean, seen = (read(graph, parts, [name], masks)[name] for masks in (None, shares))
        assert (seen - z).square().mean() < 0.25 * (mean - z).square().mean()


@pytest.mark.parametrize("spec", ["noise:0.5", "topk:0.3"])
def test_other_defences_are_no_masks(net, parts, spec):
    graph, plain = defended(net, parts, spec)
    assert find_masks(graph, parts.selection, list(plain), "cpu") == {}
