"""Models of torchvision and timm at small sizes; nothing is downloaded."""

import sys
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import nn

from goldcut.errors import MissingExtra, ModelError
from goldcut.sources.body import Request
from goldcut.sources.libraries import build_timm, build_torchvision
from goldcut.sources.models import load_model

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_torchvision_takes_size_and_normalisation_from_its_weights() -> None:
    body = build_torchvision(Request("squeezenet1_1"))
    assert (body.input_shape, body.mean, body.std, body.weights) == ((3, 224, 224), *IMAGENET, None)
    assert build_torchvision(Request("inception_v3")).input_shape == (3, 299, 299)


def test_torchvision_at_another_size_and_other_classes() -> None:
    target = load_model("torchvision:mobilenet_v3_small", input_shape=(3, 32, 32), classes=4)
    assert target.model(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    assert target.record.mean == IMAGENET[0]


def test_torchvision_transformers_are_built_for_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import models

    asked: dict[str, Any] = {}
    monkeypatch.setattr(models, "get_model", lambda name, **options: asked.update(options) or nn.Identity())
    build_torchvision(Request("vit_b_16", (3, 64, 64)))
    assert asked["image_size"] == 64


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("resnet81"), "no classification model 'resnet81'. Did you mean resnet18"),
        (Request("fasterrcnn_resnet50_fpn"), "no classification model"),
        (Request("resnet18", weights="IMAGENET1K_V9"), "no weights 'IMAGENET1K_V9' .* Did you mean IMAGENET1K_V1"),
        (Request("resnet18", classes=7, weights="DEFAULT"), "have 1000 classes and 7 were asked for"),
        (Request("resnet18", (1, 28, 28)), "take 3 channels and the input has 1"),
        (Request("vit_b_16", (3, 60, 60)), "cannot build vit_b_16: AssertionError: Input shape indivisible"),
    ],
    ids=str,
)
def test_torchvision_refusals(request_: Request, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build_torchvision(request_)


def test_torchvision_weights_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(ModelError, match=r"cannot fetch squeezenet1_1: URLError: .*no route.* need the network"):
        build_torchvision(Request("squeezenet1_1", weights="DEFAULT"))


def test_torchvision_weights_are_filled_in_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import models

    other = models.squeezenet1_1().state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: other)
    body = build_torchvision(Request("squeezenet1_1", weights="DEFAULT"))
    assert body.weights == "IMAGENET1K_V1"
    assert torch.equal(body.module.state_dict()["features.0.weight"], other["features.0.weight"])


def test_timm_at_another_size_with_one_channel_and_other_classes() -> None:
    target = load_model("timm:vit_tiny_patch16_224", input_shape=(1, 64, 32), classes=4)
    assert target.model(torch.rand(2, 1, 64, 32)).shape == (2, 4)
    assert (target.record.mean, target.record.std) == ((0.5,), (0.5,))


def test_timm_takes_size_and_normalisation_from_its_metadata() -> None:
    body = build_timm(Request("vit_tiny_patch16_224.augreg_in21k"))
    assert (body.input_shape, body.mean, body.weights) == ((3, 224, 224), (0.5, 0.5, 0.5), None)
    body = build_timm(Request("resnet10t", (1, 32, 32)))
    assert body.mean == pytest.approx((sum(IMAGENET[0]) / 3,))


def test_timm_weights_are_asked_for_by_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    asked: list[Any] = []

    def create(name: str, **options: Any) -> nn.Module:
        asked.append((name, options["pretrained"]))
        return nn.Identity()

    monkeypatch.setattr(timm, "create_model", create)
    assert build_timm(Request("resnet18", weights="a1_in1k")).weights == "a1_in1k"
    assert build_timm(Request("resnet18", weights="DEFAULT")).weights == "a1_in1k"
    build_timm(Request("resnet18"))
    assert asked == [("resnet18.a1_in1k", True), ("resnet18", True), ("resnet18", False)]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("vit_tinny_patch16_224"), "no model 'vit_tinny_patch16_224'. Did you mean vit_tiny_patch16_224"),
        (Request("resnet18.a9_in1k"), "no weights 'a9_in1k' for resnet18. Did you mean a[0-9]+_in1k"),
        (Request("resnet18", weights="a9_in1k"), "no weights 'a9_in1k' for resnet18"),
        (Request("resnet18", classes=3, weights="DEFAULT"), "have 1000 classes and 3 were asked for"),
    ],
    ids=str,
)
def test_timm_refusals(request_: Request, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build_timm(request_)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("no route"), "timm cannot fetch resnet18: ConnectionError: no route. Pretrained weights need"),
        (TypeError("img_size?\nline two"), r"timm cannot build resnet18: TypeError: img_size\?. Check --input"),
    ],
    ids=str,
)
def test_what_timm_raises_becomes_one_sentence(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    import timm

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(ModelError, match=words) as caught:
        build_timm(Request("resnet18", weights="DEFAULT"))
    assert "\n" not in str(caught.value)


def test_missing_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"timm is not installed. pip install 'goldcut\[timm\]'"):
        load_model("timm:resnet18")
    with pytest.raises(MissingExtra, match=r"transformers is not installed. pip install 'goldcut\[hf\]'"):
        load_model("hf:somebody/something")


@pytest.mark.parametrize("spec", ["torchvision:squeezenet1_1", "timm:test_resnet"])
def test_libraries_leave_the_generator_and_print_nothing(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    first = load_model(spec, input_shape=(3, 32, 32)).record.sha256
    assert torch.equal(torch.get_rng_state(), before)
    assert load_model(spec, input_shape=(3, 32, 32)).record.sha256 == first
    assert capsys.readouterr() == ("", "")
