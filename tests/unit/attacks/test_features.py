"""Z of many cuts in one pass: the same in memory and on disk, grouped to fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from goldcut.attacks.features import (
    attack_shape,
    enlarge,
    group_cuts,
    read_features,
    read_pixels,
    shrink,
    storage,
)
from goldcut.attacks.layout import lay_out
from goldcut.cuts import find_cuts
from goldcut.progress import silent
from goldcut.records import Cut


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(100, 4000))
def test_groups_keep_the_order_and_fit_unless_a_cut_is_alone(elements: list[int], memory: int):
    cuts = [Cut(name=f"c{k}", shape=(d,), kind="vector", elements=d, level="all") for k, d in enumerate(elements)]
    groups = group_cuts(cuts, lambda cut: 40 * cut.elements, memory)
    assert [cut for group in groups for cut in group] == cuts
    assert all(sum(40 * cut.elements for cut in group) <= memory or len(group) == 1 for group in groups)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("on_disk", [False, True])
def test_features_are_what_the_network_computes(on_disk: bool, mirror: bool, tmp_path: Path, net, parts):
    graph = find_cuts(net, (1, 12, 12))
    names = [graph.cut(name).name for name in ("shallow", "deep", "output")]
    layouts = {name: lay_out(graph.cut(name), graph.cuts) for name in names}
    make = storage(tmp_path if on_disk else None)
    read = read_features(
        graph,
        parts.training,
        layouts,
        {name: make((len(parts.training), *layouts[name].shape)) for name in names},
        mirror=mirror,
        logits=True,
        device="cpu",
        task="Z",
        progress=silent,
    )
    with torch.no_grad():
        images = parts.training.batch(np.arange(len(parts.training)))
        images = images.flip(3) if mirror else images
        shallow = net.shallow(images)
        torch.testing.assert_close(read.z[names[0]], shallow)
        torch.testing.assert_close(read.z[names[1]], net.deep(shallow))
        torch.testing.assert_close(read.z[names[2]], net(images))
    assert read.labels is not None
    np.testing.assert_array_equal(read.labels, read.z[names[2]].argmax(1))
    assert read.broken == dict.fromkeys(names, 0)
    assert not list(tmp_path.iterdir())


def test_large_images_are_attacked_at_64_pixels_and_small_ones_as_they_are():
    assert attack_shape((3, 256, 128)) == (3, 64, 32)
    assert attack_shape((3, 64, 30)) == (3, 64, 30)
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shrink(images, (3, 8, 8)), images)
    torch.testing.assert_close(shrink(images, (3, 4, 4)), images.reshape(2, 3, 4, 2, 4, 2).mean(dim=(3, 5)))
    torch.testing.assert_close(enlarge(torch.full((1, 3, 4, 4), 0.3), (3, 9, 8)), torch.full((1, 3, 9, 8), 0.3))


def test_pixels_are_kept_exactly(parts):
    kept = read_pixels(parts.training, (1, 12, 12))
    np.testing.assert_array_equal(kept.permute(0, 2, 3, 1), parts.training.pixels(np.arange(len(parts.training))))
