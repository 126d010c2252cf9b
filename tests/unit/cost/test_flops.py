"""Prices against counts by hand."""

import pytest
import torch

import models
from goldcut.cost.flops import price_cuts
from goldcut.cuts import find_cuts, split_at
from library import build_library_model


def test_plain_network_by_hand() -> None:
    graph = models.cut_zoo("PlainCNN")
    priced = {cut.name: cut for cut in price_cuts(graph, graph.cuts)}
    conv1 = 2 * 8 * 16 * 16 * (3 * 9)
    conv2 = 2 * 16 * 8 * 8 * (8 * 9)
    fc = 2 * 256 * 10
    assert (priced["pool"].edge_flops, priced["pool"].cloud_flops) == (conv1, conv2 + fc)
    assert (priced["output"].edge_flops, priced["output"].cloud_flops) == (conv1 + conv2 + fc, 0)
    assert priced["pool"].edge_params == 8 * 27 + 8 + 16
    assert priced["pool"].payload_bytes == 8 * 8 * 8 * 4
    assert priced["pool"].aliases == graph.cut("pool").aliases


def test_attention_by_hand() -> None:
    graph = models.cut_zoo("Tokens")
    priced = {cut.name: cut for cut in price_cuts(graph, graph.cuts)}
    tokens, width = 17, 16
    block = 2 * tokens * width * (4 * width) + 2 * (2 * tokens * tokens * width) + 2 * 2 * tokens * width * 2 * width
    assert priced["blocks.1"].edge_flops - priced["blocks.0"].edge_flops == block


@pytest.mark.parametrize("name", models.ZOO)
def test_edge_and_cloud_add_up_and_parameters_are_those_of_the_halves(name: str) -> None:
    graph = models.cut_zoo(name)
    priced = price_cuts(graph, graph.cuts)
    assert len({cut.edge_flops + cut.cloud_flops for cut in priced}) == 1
    assert [cut.edge_flops for cut in priced] == sorted(cut.edge_flops for cut in priced)
    for cut in priced[:-1]:
        split = split_at(graph, cut.name)
        assert cut.edge_params == sum(p.numel() for p in split.edge.parameters())
        assert cut.cloud_params == sum(p.numel() for p in split.cloud.parameters())
    assert priced[-1].cloud_params == 0


def test_shared_weights_count_in_both_halves() -> None:
    model = models.build("Shared")
    graph = find_cuts(model, models.INPUT_SHAPE)
    (cut,) = price_cuts(graph, [graph.cut("relu")])
    shared = sum(p.numel() for p in model.get_submodule("mix").parameters())
    assert cut.edge_params + cut.cloud_params == sum(p.numel() for p in model.parameters()) + shared


def test_whole_of_a_known_network() -> None:
    """ResNet-18 at 224 pixels has 1.814 G multiply-accumulates and 11,689,512 parameters (torchvision's table)."""
    graph = find_cuts(build_library_model("torchvision:resnet18", (3, 224, 224)), (3, 224, 224))
    (output,) = price_cuts(graph, graph.cuts[-1:])
    assert output.edge_params == 11_689_512
    assert output.edge_flops / 2 == pytest.approx(1.814e9, rel=1e-3)


def test_pricing_runs_no_real_tensor() -> None:
    graph = find_cuts(models.build("PlainCNN"), models.INPUT_SHAPE)
    state = torch.get_rng_state()
    price_cuts(graph, graph.cuts)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(type(p) is not torch.nn.Parameter for p in graph.module.parameters())
