"""Reading many cuts in one pass: the right tensors, in order, nothing kept, nothing left behind."""

import gc
import weakref

import pytest
import torch
from torch import Tensor

import models
from goldcut.cuts import find_cuts, read_cuts, split_at
from goldcut.errors import ModelError


@pytest.mark.parametrize("name", ["PlainCNN", "Residual", "Tokens", "Dense", "InPlace", "Shared"])
def test_every_cut_as_its_edge_computes_it(name: str) -> None:
    graph = models.cut_zoo(name)
    images, names = models.images(3), [cut.name for cut in graph.cuts]
    seen: dict[str, Tensor] = {}
    logits = read_cuts(graph, images, names, seen.__setitem__)
    assert list(seen) == names
    assert torch.equal(seen.pop("output"), logits)
    with torch.no_grad():
        for cut, z in seen.items():
            assert torch.equal(z, split_at(graph, cut).edge(images))


def test_the_order_is_that_of_the_network_and_aliases_keep_their_name() -> None:
    graph, seen = find_cuts(models.build("Residual"), models.INPUT_SHAPE), []
    read_cuts(graph, models.images(1), ["fc", "layers", "stem", "layers.1"], lambda name, z: seen.append(name))
    assert seen == ["stem", "layers", "layers.1", "fc"]


def test_a_bare_pass_gives_the_logits_without_gradients() -> None:
    model = models.build("PlainCNN")
    graph, images = find_cuts(model, models.INPUT_SHAPE), models.images(2)
    logits = read_cuts(graph, images, [], lambda name, z: pytest.fail("nothing was to be shown"))
    assert not logits.requires_grad
    torch.testing.assert_close(logits, model(images).detach())


def test_code_is_generated_once_for_each_set_of_names() -> None:
    graph, images = find_cuts(models.build("MLP"), models.INPUT_SHAPE), models.images(1)
    for _ in range(3):
        read_cuts(graph, images, ["layers"], lambda name, z: None)
        read_cuts(graph, images, [], lambda name, z: None)
    assert list(graph.readers) == [("layers",), ()]


def test_tensors_are_freed_as_the_pass_goes_on() -> None:
    graph = find_cuts(models.build("PlainCNN"), models.INPUT_SHAPE)
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def count(name: str, z: Tensor) -> None:
        nonlocal most
        alive.append(weakref.ref(z))
        most = max(most, sum(ref() is not None for ref in alive))

    gc.disable()
    try:
        read_cuts(graph, models.images(2), [cut.name for cut in graph.cuts], count)
    finally:
        gc.enable()
    assert most <= 2


def test_an_error_in_a_visit_comes_through_and_leaves_no_trace() -> None:
    graph, images = find_cuts(models.build("PlainCNN"), models.INPUT_SHAPE), models.images(2)
    before = read_cuts(graph, images, ["pool"], lambda name, z: None)

    def fail(name: str, z: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_cuts(graph, images, ["pool"], fail)
    assert torch.is_grad_enabled()
    assert torch.equal(read_cuts(graph, images, ["pool"], lambda name, z: None), before)


def test_unknown_names_are_refused_before_anything_runs() -> None:
    graph = find_cuts(models.build("MLP"), models.INPUT_SHAPE)
    with pytest.raises(ModelError, match="no cut 'nowhere'"):
        read_cuts(graph, models.images(1), ["nowhere"], lambda name, z: pytest.fail("ran"))
