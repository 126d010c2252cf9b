"""cloud(edge(x)) == model(x), on a zoo: Z and logits, batches of 1 and 5, models whose answer depends on the image."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

import models
from goldcut.cuts import CutGraph, find_cuts, split_at, verify_split
from goldcut.errors import ModelError
from goldcut.records import Cut
from library import QUICK, SLOW, build_library_model


def sample(cuts: Sequence[Cut], count: int) -> list[Cut]:
    """The first, the last before the output, and some between."""
    inner = cuts[:-1]
    picks = {round(k * (len(inner) - 1) / max(1, count - 1)) for k in range(count)}
    return [inner[index] for index in sorted(picks)]


def hooked_outputs(model: nn.Module, images: Tensor, names: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
    """An independent reading of Z: forward hooks, where a cut is the output of a module that is called once."""
    seen: dict[str, list[Tensor | None]] = {}
    modules = dict(model.named_modules())
    handles = [
        modules[name].register_forward_hook(
            lambda module, inputs, output, name=name: seen.setdefault(name, []).append(copied(output))
        )
        for name in names
        if name in modules
    ]
    with torch.no_grad():
        logits = models.logits_of(model(images))
    for handle in handles:
        handle.remove()
    return logits, {name: found[0] for name, found in seen.items() if len(found) == 1 and found[0] is not None}


def check_splits(model: nn.Module, graph: CutGraph, count: int) -> None:
    chosen = sample(graph.cuts, count)
    for batch in (1, 5):
        images = models.images(batch, graph.input_shape, seed=3)
        expected, hooked = hooked_outputs(model, images, [cut.name for cut in chosen])
        assert batch == 1 or expected.std(0).mean() > 0.1, "a comparison of constants would show nothing"
        for cut in chosen:
            split = split_at(graph, cut.name)
            verify_split(split, graph, images)
            with torch.no_grad():
                z = split.edge(images)
                answer = split.cloud(z)
            assert z.shape == (batch, *cut.shape)
            torch.testing.assert_close(answer, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)
            if cut.name in hooked and hooked[cut.name].shape == z.shape:
                torch.testing.assert_close(z, hooked[cut.name], atol=1e-4 * float(z.abs().max()), rtol=0)


def copied(output: object) -> Tensor | None:
    """A copy, because a later module may write into the output."""
    return output.clone() if isinstance(output, Tensor) else None


@pytest.mark.parametrize("name", models.ZOO)
def test_halves_of_the_zoo(name: str) -> None:
    model = models.build(name)
    graph = find_cuts(model, models.INPUT_SHAPE)
    check_splits(model, graph, count=len(graph.cuts))


@pytest.mark.parametrize(("spec", "size"), QUICK, ids=[spec for spec, _ in QUICK])
def test_halves_of_library_models(spec: str, size: int) -> None:
    shape = (3, size, size)
    model = build_library_model(spec, shape)
    check_splits(model, find_cuts(model, shape), count=4)


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "size"), SLOW, ids=[spec for spec, _ in SLOW])
def test_halves_of_more_library_models(spec: str, size: int) -> None:
    shape = (3, size, size)
    model = build_library_model(spec, shape)
    check_splits(model, find_cuts(model, shape), count=5)


def test_a_half_holds_its_own_weights_only() -> None:
    model = models.build("PlainCNN")
    split = split_at(find_cuts(model, models.INPUT_SHAPE), "pool")
    edge, cloud = ({p.data_ptr() for p in half.parameters()} for half in (split.edge, split.cloud))
    assert edge == {model.get_parameter(n).data_ptr() for n in ("conv1.weight", "conv1.bias", "bn1.weight", "bn1.bias")}
    assert edge | cloud == {p.data_ptr() for p in model.parameters()}
    assert not edge & cloud


def test_shared_weights_go_into_both_halves() -> None:
    split = split_at(find_cuts(models.build("Shared"), models.INPUT_SHAPE), "relu")
    names = [{name.removeprefix("model.") for name, _ in half.named_parameters()} for half in (split.edge, split.cloud)]
    mix = {"mix.weight", "mix.bias"}
    assert names == [{"stem.weight", "stem.bias"} | mix, {"fc.weight", "fc.bias"} | mix]


def test_gradients_pass_through_both_halves() -> None:
    """A white-box attacker differentiates the edge; a trainer differentiates both."""
    split = split_at(find_cuts(models.build("Tokens"), models.INPUT_SHAPE), "blocks.0")
    images = models.images(2).requires_grad_()
    split.cloud(split.edge(images)).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_the_output_is_no_place_to_split() -> None:
    graph = find_cuts(models.build("MLP"), models.INPUT_SHAPE)
    with pytest.raises(ModelError, match="leaves nothing to the cloud"):
        split_at(graph, "head")


def test_verification_sees_a_wrong_half() -> None:
    graph = find_cuts(models.build("PlainCNN"), models.INPUT_SHAPE)
    split = split_at(graph, "pool")
    wrong = split_at(find_cuts(models.build("PlainCNN", seed=1), models.INPUT_SHAPE), "pool")
    images = models.images(4)
    assert verify_split(split, graph, images) <= 1e-6
    with pytest.raises(ModelError, match="Z differ"):
        verify_split(type(split)(wrong.edge, split.cloud, split.cut), graph, images)
    with pytest.raises(ModelError, match="the logits differ"):
        verify_split(type(split)(split.edge, wrong.cloud, split.cut), graph, images)


def test_verification_refuses_to_be_vacuous() -> None:
    model = models.build("PlainCNN")
    with torch.no_grad():
        model.get_submodule("fc").weight.zero_()
    graph = find_cuts(model, models.INPUT_SHAPE)
    with pytest.raises(ModelError, match="hardly depend on the images"):
        verify_split(split_at(graph, "pool"), graph, models.images(4))
