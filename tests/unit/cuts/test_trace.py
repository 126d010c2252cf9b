"""Tracing: right in every trap, silent, and the user's model left as it was."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import models
from goldcut.cuts import find_cuts
from goldcut.cuts.trace import LogitsOnly, export_model, rewrite_in_place, trace_model
from goldcut.errors import ModelError


@pytest.mark.parametrize("name", models.ZOO)
def test_trace_equals_the_model_at_any_batch(name: str) -> None:
    model = models.build(name)
    module = trace_model(model, models.INPUT_SHAPE).module
    with torch.no_grad():
        for batch in (1, 2, 5):
            x = models.images(batch)
            expected = models.logits_of(model(x.clone()))
            assert batch == 1 or expected.std(0).mean() > 0.1
            torch.testing.assert_close(module(x), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", models.ZOO)
def test_the_trace_holds_the_weights_themselves(name: str) -> None:
    model = models.build(name)
    module = trace_model(model, models.INPUT_SHAPE).module
    ours = {tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    assert {parameter.data_ptr() for parameter in module.parameters()} <= ours
    assert not any(part.training for part in module.modules())


def state(model: nn.Module) -> list[Any]:
    """All that tracing could disturb."""
    modules = [
        (
            name,
            module.training,
            sorted(vars(module)),
            {key: id(value) for key, value in vars(module).items() if key != "training"},
            {key: id(hook) for key, hook in [*module._forward_hooks.items(), *module._forward_pre_hooks.items()]},
        )
        for name, module in model.named_modules()
    ]
    tensors = [
        (name, id(tensor), tensor.requires_grad, tensor.dtype, tensor.device, tensor.grad, tensor._version)
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    ]
    return [modules, tensors, torch.is_grad_enabled(), torch.get_rng_state().tolist()]


class Keeps(models.PlainCNN):
    """Keeps a tensor of the last call as an attribute and replaces a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.last = x + 1
        self.seen = self.seen + 1
        return super().forward(x)


class Fails(models.PlainCNN):
    """Raises half-way."""

    def forward(self, x: Tensor) -> Tensor:
        self.last = self.conv1(x)
        raise RuntimeError("half-way")


@pytest.mark.parametrize(
    "make",
    [
        *(models.PlainCNN, models.Residual, models.InPlace, models.LenBatch, models.Counting, Keeps, Fails),
        *(models.DataDependentIf, models.TwoInputsEverywhere, models.FixedBatch),
    ],
)
def test_the_model_is_left_as_it_was(make: type[nn.Module]) -> None:
    model = make().train()
    model.get_submodule("fc").eval()
    next(model.parameters()).requires_grad_(False)
    model.get_submodule("fc").weight.grad = torch.ones_like(model.get_submodule("fc").weight)
    model.get_submodule("fc").register_forward_hook(lambda module, inputs, output: None)
    model.register_forward_pre_hook(lambda module, inputs: None)
    before, values = state(model), copy.deepcopy(model.state_dict())
    try:
        find_cuts(model, models.INPUT_SHAPE)
    except ModelError:
        assert make in (Fails, models.DataDependentIf, models.TwoInputsEverywhere, models.FixedBatch)
    assert state(model) == before
    assert all(torch.equal(value, values[name]) for name, value in model.state_dict().items())


def test_cuts_are_those_of_eval_mode() -> None:
    assert find_cuts(models.PlainCNN().train(), models.INPUT_SHAPE).cuts == (
        find_cuts(models.PlainCNN().eval(), models.INPUT_SHAPE).cuts
    )


def test_forward_hooks_are_part_of_what_the_model_computes() -> None:
    model, calls = models.build("PlainCNN"), []

    def double(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        calls.append(module)
        return 2 * output

    model.get_submodule("conv2").register_forward_hook(double)
    module = trace_model(model, models.INPUT_SHAPE).module
    traced = len(calls)
    x = models.images(3)
    with torch.no_grad():
        answer = module(x)
        assert len(calls) == traced  # the graph computes what the hook did and calls it no more
        torch.testing.assert_close(answer, model(x))


@pytest.mark.parametrize("name", ["Residual", "PlainCNN", "TrailingViews"])
def test_ordinary_in_place_operators_need_no_decomposition(name: str) -> None:
    with torch.no_grad():
        program = export_model(LogitsOnly(models.build(name)), models.images(2))
    assert rewrite_in_place(program.graph)


def test_a_write_through_a_view_is_not_rewritten_by_hand() -> None:
    with torch.no_grad():
        program = export_model(LogitsOnly(models.build("InPlace")), models.images(2))
    assert not rewrite_in_place(program.graph)


def test_a_data_dependent_branch_is_refused_with_its_place(capfd: pytest.CaptureFixture[str]) -> None:
    line = next(
        number
        for number, text in enumerate(Path(models.__file__).read_text().splitlines(), 1)
        if "the line that the message must name" in text
    )
    with pytest.raises(ModelError, match=rf"values of the image \(at .*models\.py:{line}, `if x\.mean\(\) > 0\.5"):
        find_cuts(models.DataDependentIf().eval(), models.INPUT_SHAPE)
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_traced_is_refused_in_one_line() -> None:
    for model, shape, words in [
        (models.FixedBatch().eval(), models.INPUT_SHAPE, "one batch size only"),
        (models.PlainCNN().eval(), (1, 16, 16), r"images of shape 1x16x16 \(at .*models\.py:\d+"),
        (Fails().eval(), models.INPUT_SHAPE, "RuntimeError: half-way"),
        (nn.Flatten(), models.INPUT_SHAPE, "no parameters"),
    ]:
        with pytest.raises(ModelError, match=words) as caught:
            find_cuts(model, shape)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_must_be_finite(value: float) -> None:
    model = models.build("PlainCNN")
    with torch.no_grad():
        model.get_submodule("conv2").weight[0, 0, 0, 0] = value
    with pytest.raises(ModelError, match=r"parameter conv2\.weight holds NaN or infinite"):
        find_cuts(model, models.INPUT_SHAPE)


def test_statistics_must_not_be_nan() -> None:
    model = models.build("PlainCNN")
    model.get_submodule("bn1").running_var[0] = float("nan")
    with pytest.raises(ModelError, match=r"buffer bn1\.running_var holds NaN"):
        find_cuts(model, models.INPUT_SHAPE)


def test_logits_are_chosen_before_dead_code_goes() -> None:
    graph = trace_model(models.build("DictOutput"), models.INPUT_SHAPE).module.graph
    assert not any("auxiliary" in str(node.target) for node in graph.nodes)
    assert sys.maxsize not in [argument for node in graph.nodes for argument in node.args]
