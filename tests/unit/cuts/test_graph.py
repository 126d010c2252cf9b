"""Which cuts are found, how they are named, and what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import models
from goldcut.cuts import CutGraph, find_cuts
from goldcut.errors import ModelError
from goldcut.sources.models import Normalised
from library import build_library_model


def names(graph: CutGraph, level: str = "all") -> list[str]:
    return [cut.name for cut in graph.at_level(level)]


def test_plain_network_by_hand() -> None:
    graph = models.cut_zoo("PlainCNN")
    assert names(graph) == ["conv1", "bn1", "relu", "pool", "conv2", "bn2", "relu@2", "pool@2", "flatten", "output"]
    assert names(graph, "group") == ["relu", "pool", "relu@2", "flatten", "output"]
    assert graph.cut("pool").shape == (8, 8, 8)
    assert graph.cut("pool").elements == 512
    assert [graph.cut(name).kind for name in ("pool", "flatten", "output")] == ["map", "vector", "vector"]
    assert graph.cut("fc") is graph.cuts[-1]
    assert graph.output_shape == (models.CLASSES,)


def test_residual_block_is_cut_at_its_end_only() -> None:
    graph = models.cut_zoo("Residual")
    assert names(graph) == ["stem", "layers.0/add", "layers.0", "layers.1/add", "layers.1", "mean", "output"]
    assert names(graph, "block") == ["stem", "layers.0", "layers.1", "mean", "output"]
    assert graph.cut("layers").name == graph.cut("layers.1.relu@2").name == "layers.1"
    reasons = {refused.name: refused.reason for refused in graph.refused}
    assert reasons["layers.0.conv2"] == "2 tensors are alive here: stem and layers.0.conv2 (inside a residual branch)"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Blocks", "block1.2 block1 block2.2 head.0 head.2 output"),
        ("Dense", "stem cat#4 transition flatten output"),
        ("Shared", "stem relu relu#2 relu#3 mean output"),
        ("Functional", "relu add reshape output"),
        ("Tokens", "transpose add blocks.0 norm select output"),
        ("ChannelsLast", "norm permute#2 mean output"),
        ("MLP", "layers.2 layers output"),
        ("Gated", "conv mul mul#2 amax fc output"),
        ("TrailingViews", "relu classifier output"),
        ("DictOutput", "relu pool relu@2 flatten output"),
    ],
)
def test_block_view_by_hand(name: str, expected: str) -> None:
    assert names(models.cut_zoo(name), "block") == expected.split()


def test_views_after_the_logits_are_aliases_of_the_output() -> None:
    assert models.cut_zoo("TrailingViews").cuts[-1].aliases == ("pool", "squeeze", "drop", "flatten")


def test_kinds_of_tokens_and_channels_last() -> None:
    tokens, last = models.cut_zoo("Tokens"), models.cut_zoo("ChannelsLast")
    assert (tokens.cut("blocks.0").kind, tokens.cut("blocks.0").shape) == ("tokens", (17, 16))
    assert (last.cut("stem").kind, last.cut("stem").shape) == ("map", (8, 8, 8))
    assert (last.cut("mix").kind, last.cut("mix").shape) == ("tokens", (8, 8, 12))
    assert (last.cut("permute#2").kind, last.cut("permute#2").shape) == ("map", (12, 8, 8))


def test_views_are_nested_and_names_unique() -> None:
    for name in models.ZOO:
        graph = models.cut_zoo(name)
        block, group, everything = (names(graph, level) for level in ("block", "group", "all"))
        assert set(block) <= set(group) <= set(everything)
        assert everything == [cut.name for cut in graph.cuts]
        known = [known for cut in graph.cuts for known in (cut.name, *cut.aliases)]
        assert len(known) == len(set(known))
        assert graph.cuts[-1].name == graph.cuts[-1].level == "output"
        assert not {refused.name for refused in graph.refused} & set(known)


COUNTS = {
    # all, group, block; a study that listed the input as well had one more in each view
    "torchvision:resnet18": (23, 12, 12),
    "torchvision:mobilenet_v2": (73, 34, 21),
    "timm:hrnet_w18_small": (16, 7, 7),
    "torchvision:vgg19_bn": (62, 25, 25),
    "torchvision:efficientnet_b0": (79, 40, 20),  # that study lost the in-place dropout
    "torchvision:densenet121": (25, 14, 14),
    "torchvision:swin_t": (44, 36, 18),
    "timm:vit_tiny_patch16_224": (34, 28, 16),  # that study counted the slice [:] of x[:, 0] as a place
}
QUICK = 3


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        pytest.param(spec, counts, marks=[] if index < QUICK else pytest.mark.slow, id=spec)
        for index, (spec, counts) in enumerate(COUNTS.items())
    ],
)
def test_counts_of_known_networks(spec: str, counts: tuple[int, int, int]) -> None:
    shape = (3, 64, 64)
    graph = find_cuts(build_library_model(spec, shape), shape)
    assert tuple(len(graph.at_level(level)) for level in ("all", "group", "block")) == counts


def test_no_cut_before_the_first_parameter() -> None:
    graph = find_cuts(Normalised(models.build("MLP"), (0.5,) * 3, (0.2,) * 3).eval(), models.INPUT_SHAPE)
    assert graph.cuts[0].name == "layers.1"
    assert [(r.name, "input in another form" in r.reason) for r in graph.refused] == [("layers.0", True)]


@pytest.mark.parametrize("wrap", [lambda m: Normalised(m).eval(), nn.DataParallel], ids=["Normalised", "DataParallel"])
def test_wrappers_do_not_show_in_names(wrap: object) -> None:
    wrapped = find_cuts(wrap(models.build("PlainCNN")), models.INPUT_SHAPE)  # type: ignore[operator]
    assert names(wrapped) == names(models.cut_zoo("PlainCNN"))


def test_rescaling_two_layers_against_each_other_leaves_the_cuts_equal() -> None:
    model = models.build("PlainCNN")
    before = find_cuts(model, models.INPUT_SHAPE).cuts
    with torch.no_grad():
        model.get_submodule("conv1").weight.mul_(5.0)
        model.get_submodule("conv2").weight.mul_(0.2)
    assert find_cuts(model, models.INPUT_SHAPE).cuts == before


def test_the_batch_must_come_first() -> None:
    class TimeFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.mix, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.mix(self.patches(x).flatten(2).permute(2, 0, 1)).mean(0))

    graph = find_cuts(TimeFirst().eval(), models.INPUT_SHAPE)
    assert names(graph) == ["patches", "flatten", "mean", "output"]
    assert [graph.refused[0].name, graph.refused[0].reason[4:36]] == ["mix", "first dimension is not the batch"]


def test_unknown_names_say_what_is_near_and_refused_ones_why() -> None:
    graph = models.cut_zoo("Residual")
    with pytest.raises(ModelError, match=r"no cut 'layer\.1'\. Near it: layers"):
        graph.cut("layer.1")
    with pytest.raises(ModelError, match=r"layers\.0\.conv1 is no cut: 2 tensors are alive here: stem and"):
        graph.cut("layers.0.conv1")


def test_models_without_a_cut_say_why() -> None:
    with pytest.raises(ModelError, match="at least 2 tensors are alive, at best the image and conv"):
        find_cuts(models.TwoInputsEverywhere().eval(), models.INPUT_SHAPE)
    with pytest.raises(ModelError, match="one layer with weights"):
        find_cuts(models.OneLayer().eval(), models.INPUT_SHAPE)


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        (lambda x: x.mean(), "no batch of logits: its first dimension"),
        (lambda x: x.argmax(1), "no batch of logits: Z would hold int64"),
        (lambda x: x.t(), "no batch of logits: its first dimension"),
    ],
)
def test_outputs_that_are_no_logits_are_refused(tail: Callable[[Tensor], Tensor], words: str) -> None:
    class Tail(models.PlainCNN):
        def forward(self, x: Tensor) -> Tensor:
            return tail(super().forward(x))

    with pytest.raises(ModelError, match=words):
        find_cuts(Tail().eval(), models.INPUT_SHAPE)


def test_a_lone_tensor_that_cannot_be_sent_is_named_as_the_reason() -> None:
    class Transposed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(10, 768))

        def forward(self, x: Tensor) -> Tensor:
            return (self.weight @ x.flatten(1).t()).sum(0, keepdim=True).t()

    with pytest.raises(ModelError, match="where one tensor is alive, its first dimension is not the batch"):
        find_cuts(nn.Sequential(Transposed()), models.INPUT_SHAPE)
