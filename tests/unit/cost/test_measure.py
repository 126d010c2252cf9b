"""Measuring a cut: what is reported, never how fast."""

import pytest
import torch

import models
from goldcut.cost.measure import measure_cut
from goldcut.cuts import split_at
from goldcut.errors import ModelError


def test_a_measured_cut() -> None:
    graph = models.cut_zoo("PlainCNN")
    measured = measure_cut(graph, "pool", runs=3)
    split = split_at(graph, "pool")
    assert measured.name == "pool"
    assert measured.edge_seconds > 0
    assert measured.cloud_seconds > 0
    assert (measured.runs, measured.device, measured.threads) == (3, "cpu", torch.get_num_threads())
    assert measured.edge_weight_bytes == 4 * sum(t.numel() for t in (*split.edge.parameters(), *split.edge.buffers()))


def test_peak_memory_by_hand() -> None:
    """Flatten is a view; the widest moment of the edge is a layer's input and output together."""
    graph = models.cut_zoo("MLP")
    measured = measure_cut(graph, "layers", runs=1)
    assert measured.edge_peak_bytes == 4 * (768 + 64)
    assert measured.cloud_peak_bytes == 4 * (32 + 10)


def test_the_output_cannot_be_measured() -> None:
    graph = models.cut_zoo("MLP")
    with pytest.raises(ModelError, match="leaves nothing to the cloud"):
        measure_cut(graph, "output")
