"""Z while training: the right module, no trace left."""

import pytest
import torch

from goldcut.errors import TrainingError
from goldcut.training.taps import deepest_module, find_modules, tapped
from models import INPUT_SHAPE, build, cut_zoo
from models import images as zoo_images


def test_z_of_a_module_is_kept_although_a_later_layer_writes_over_it(small):
    body = small.target.model.body
    images = small.selection.batch(range(6))
    modules = find_modules(small.graph, small.target.model, ["1", "5"], images)
    assert modules == {"1": "1", "5": "5"}
    with tapped(small.target.model, modules) as taps:
        body.train()(images)
        held = taps["1"].clone()
    assert (held < 0).any()
    assert held.requires_grad
    with torch.no_grad():
        assert torch.allclose(body[1](body[0](images)), held, atol=1e-5)


def test_no_hook_remains_after_an_error(small):
    body = small.target.model.body
    with pytest.raises(RuntimeError), tapped(small.target.model, {"1": "1"}):
        raise RuntimeError
    assert all(not module._forward_hooks for module in body.modules())


def test_the_deepest_module_is_the_last_block_that_has_one(small):
    assert deepest_module(small.graph, small.target.model) in ("6", "7")
    residual = cut_zoo("Residual")
    assert deepest_module(residual, build("Residual")) == "layers.1"


def test_the_output_needs_no_module(small):
    assert find_modules(small.graph, small.target.model, ["output"], small.selection.batch([0])) == {}


def test_a_cut_that_is_no_modules_output_is_refused_with_cuts_that_are():
    model, graph = build("Tokens"), cut_zoo("Tokens")
    name = next(cut.name for cut in graph.cuts if "/" in cut.name)
    with pytest.raises(TrainingError, match=r"not the output of one module\. Such are .*blocks"):
        find_modules(graph, model, [name], zoo_images(4))
    assert graph.input_shape == INPUT_SHAPE
