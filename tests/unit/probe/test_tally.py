"""Parts of the images tallied apart and joined in order against one pass over all of them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from goldcut.cuts.graph import CutGraph
from goldcut.probe.profile import Profile, profile_cuts
from goldcut.probe.resume import Bookmark
from goldcut.probe.tally import Plan, Tally, state_of, tally_cuts
from goldcut.records import Cut, PricedCut
from goldcut.sources.images import Images

from .conftest import CLASSES

BATCH = 16
IMAGES = 166
BATCHES = -(-IMAGES // BATCH)

Make = Callable[..., Images]


def in_parts(edges: Sequence[int], folder: Path) -> Callable[..., Any]:
    """The pass as several, each over the batches between two edges, through files."""

    def tally(
        graph: CutGraph, images: Images, cuts: Sequence[Cut], plan: Plan, **flags: Any
    ) -> tuple[dict[str, Tally], Any]:
        del flags["bookmark"], flags["progress"]
        joined = {cut.name: Tally(cut, plan) for cut in cuts}
        largest = np.zeros(len(plan), dtype=np.int64)
        spans = [(BATCH * low, min(BATCH * high, len(plan))) for low, high in pairwise(edges)]
        for start, stop in reversed(spans):  # no part needs another
            tallies, predicted = tally_cuts(graph, images, cuts, plan, span=(start, stop), **flags)
            Bookmark(folder / f"{start}", "key").keep(state_of(tallies, torch.from_numpy(predicted)), stop)
        for start, stop in spans:
            part, predicted = {cut.name: Tally(cut, plan, start=start) for cut in cuts}, torch.zeros(len(plan)).long()
            assert Bookmark(folder / f"{start}", "key").restore(state_of(part, predicted)) == stop
            largest[plan.order[start:stop]] = predicted[plan.order[start:stop]]
            for name in joined:
                joined[name].join(part[name], ended=plan.carried(start) != plan.carried(stop))
        return joined, largest

    return tally


def same(one: Profile, other: Profile) -> None:
    for mine, theirs in zip(one.rows, other.rows, strict=True):
        for name, value in flat(asdict(mine)).items():
            expected = flat(asdict(theirs))[name]
            if isinstance(value, float):
                assert value == pytest.approx(expected, rel=1e-12, abs=0), (mine.name, name)
            else:
                assert value == expected, (mine.name, name)
    for name in one.folds:
        np.testing.assert_allclose(one.folds[name], other.folds[name], rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(one.predicted, other.predicted)
    assert one.skipped == other.skipped


def flat(value: Any, at: str = "") -> dict[str, Any]:
    """The leaves of a nested value by their path."""
    if isinstance(value, dict):
        return {path: leaf for key in value for path, leaf in flat(value[key], f"{at}.{key}").items()}
    if isinstance(value, list | tuple):
        return {path: leaf for key, each in enumerate(value) for path, leaf in flat(each, f"{at}.{key}").items()}
    return {at: value}


DEALS = {
    "four classes": [70, 40, 25, 31],
    "one class of almost all": [2, 160, 2, 2],
    "classes that end with a batch": [16, 48, 96, 6],
}


@pytest.mark.parametrize("counts", DEALS.values(), ids=DEALS.keys())
@pytest.mark.parametrize(
    "edges",
    [
        [0, BATCHES],
        [0, BATCHES // 2, BATCHES],
        [0, 3, 7, BATCHES],
        list(range(BATCHES + 1)),
    ],
    ids=lambda edges: f"{len(edges) - 1} parts",
)
def test_parts_joined_in_order_are_one_pass_to_1e_12(
    graph: CutGraph,
    cuts: tuple[PricedCut, ...],
    make: Make,
    tmp_path: Path,
    counts: list[int],
    edges: list[int],
) -> None:
    labels = np.random.default_rng(2).permutation(np.repeat(np.arange(CLASSES), counts))
    images = make(labels)
    whole = profile_cuts(graph, images, labels, cuts, n_classes=CLASSES, batch_size=BATCH)
    parts = profile_cuts(
        graph, images, labels, cuts, n_classes=CLASSES, batch_size=BATCH, tally=in_parts(edges, tmp_path)
    )
    same(parts, whole)
