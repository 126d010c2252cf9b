"""Predictions, what is no logits, and clusters."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.errors import BudgetError, DataError, ModelError
from goldcut.probe.labels import cluster_labels, looks_like_logits, predict
from goldcut.sources.images import Images

from .conftest import SHAPE


def test_predict_gives_every_image_its_output_in_order(net: nn.Module, graph: CutGraph, images: Images) -> None:
    seen: list[float] = []
    found = predict(graph, images, batch_size=50, progress=lambda task, done, total: seen.append(done))
    with torch.no_grad():
        torch.testing.assert_close(found, net(images.batch(np.arange(len(images)))))
    assert seen == [50, 100, 150, 166]


def test_predict_names_the_first_cut_that_is_not_finite(net: nn.Module, graph: CutGraph, images: Images) -> None:
    with torch.no_grad():
        net.mix.weight[0, 0] = float("inf")
    with pytest.raises(ModelError, match="Z at mix,"):
        predict(graph, images)


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        (torch.randn(9, 5, generator=torch.Generator().manual_seed(0)), None),
        (torch.eye(5), None),
        (torch.softmax(100 * torch.eye(5), 1), None),
        (torch.nn.functional.normalize(torch.arange(10.0).view(5, 2) - 3), "embedding"),
        (torch.zeros(3, 1), "one number"),
        (torch.zeros(3, 5, 2), "shape 5x2"),
    ],
)
def test_what_is_no_logits_is_told(outputs: torch.Tensor, reason: str | None) -> None:
    found = looks_like_logits(outputs.shape[1:], outputs)
    assert found is None if reason is None else reason in (found or "")


def test_clusters_find_groups_that_are_there(graph: CutGraph, make: Callable[..., Images]) -> None:
    truth = np.repeat([0, 3], [30, 20])
    images = make(truth)
    found = cluster_labels(graph, images, 2, seed=0, batch_size=16)
    assert found.dtype == np.int64
    assert (found == found[0]).tolist() in ((truth == 0).tolist(), (truth == 3).tolist())
    np.testing.assert_array_equal(found, cluster_labels(graph, images, 2, seed=0))


def test_clusters_of_what_fits_label_everything(graph: CutGraph, make: Callable[..., Images]) -> None:
    truth = np.repeat([0, 3], [40, 40])
    images = make(truth)
    elements = graph.cuts[-2].elements
    found = cluster_labels(graph, images, 2, seed=0, memory_bytes=2 * 4 * elements * 30)
    assert len(found) == 80
    assert (found == found[0]).sum() == 40


def test_clusters_that_cannot_be_are_refused(net: nn.Module, graph: CutGraph, images: Images) -> None:
    with pytest.raises(DataError, match="1 clusters of 166"):
        cluster_labels(graph, images, 1, seed=0)
    with pytest.raises(DataError, match="84 clusters"):
        cluster_labels(graph, images, 84, seed=0)
    with pytest.raises(BudgetError, match="--memory"):
        cluster_labels(graph, images, 4, seed=0, memory_bytes=1000)
    with torch.no_grad():
        net.mix.weight.zero_()
    with pytest.raises(DataError, match="distinct"):
        cluster_labels(find_cuts(net, SHAPE), images, 4, seed=0)
