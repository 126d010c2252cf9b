"""What is measured on a few images: memory does not change it."""

import numpy as np
import pytest

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.taps import read_cuts
from goldcut.errors import BudgetError
from goldcut.probe import sample as room
from goldcut.probe.budget import image_bytes
from goldcut.probe.dependence import image_dependence
from goldcut.probe.moments import Layout
from goldcut.probe.sample import measure_sample
from goldcut.records import PricedCut
from goldcut.sources.images import Images


def test_the_dependence_is_that_of_images_and_representations(
    graph: CutGraph, cuts: tuple[PricedCut, ...], images: Images
) -> None:
    found = measure_sample(graph, images, cuts)
    batch = images.batch(np.arange(len(images)))
    assert found.compared == len(images)

    def compare(name: str, z) -> None:
        by_hand = image_dependence(batch.flatten(1), z.flatten(1), Layout.of(graph.cut(name)))
        np.testing.assert_allclose(found.dependence[name], by_hand, rtol=1e-3)

    read_cuts(graph, batch, [cut.name for cut in cuts], compare)


def test_several_passes_give_what_one_gives(
    graph: CutGraph, cuts: tuple[PricedCut, ...], images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = measure_sample(graph, images, cuts)
    tight = 4 * len(images) * max(cut.elements for cut in cuts) + image_bytes(graph)
    several = measure_sample(graph, images, cuts, batch_size=1, memory_bytes=tight)
    assert several.images == one.images == len(images)
    assert several.ranks == pytest.approx(one.ranks, rel=1e-5)
    for name, value in one.dependence.items():
        np.testing.assert_allclose(several.dependence[name], value, rtol=1e-5)
    groups = list(room._groups(cuts, max(cut.elements for cut in cuts)))
    assert len(groups) > 1
    assert [cut for group in groups for cut in group] == list(cuts)


def test_where_memory_is_short_every_cut_uses_the_same_fewer_images(
    graph: CutGraph, cuts: tuple[PricedCut, ...], images: Images
) -> None:
    largest = max(cut.elements for cut in cuts)
    found = measure_sample(graph, images, cuts, batch_size=1, memory_bytes=4 * largest * 20 + image_bytes(graph))
    assert found.images == 20
    assert len(found.ranks) == len(cuts)
    with pytest.raises(BudgetError, match="--memory"):
        measure_sample(graph, images, cuts, memory_bytes=4 * largest * 2)


def test_the_number_of_passes_is_bounded() -> None:
    elements = [1000] * 100
    n = room._images_that_fit(5000, elements, memory_bytes=4 * 1000 * 500)
    assert n * sum(elements) <= room.PASSES * 1000 * 500
    assert room._images_that_fit(5000, elements, memory_bytes=2**40) == room.IMAGES
