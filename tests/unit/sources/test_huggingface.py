"""Image classifiers of Hugging Face from folders of save_pretrained; the hub is never asked."""

from pathlib import Path

import pytest
import torch

from goldcut.errors import ModelError
from goldcut.sources.models import load_model

transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")

CONFIG = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 16,
    "patch_size": 8,
    "num_labels": 5,
}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    transformers.ViTForImageClassification(transformers.ViTConfig(**CONFIG)).save_pretrained(tmp_path)
    capsys.readouterr()
    return tmp_path


def test_weights_of_a_folder_are_loaded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = load_model(f"hf:{folder}")
    assert (target.input_shape, target.record.mean, target.record.weights) == ((3, 16, 16), (), "main")
    images = torch.rand(2, 3, 16, 16)
    original = transformers.ViTForImageClassification.from_pretrained(folder).eval()
    capsys.readouterr()
    torch.testing.assert_close(target.model(images), original(images).logits)
    load_model(f"hf:{folder}")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("processor", "shape"),
    [
        ({"size": {"height": 24, "width": 16}}, (3, 24, 16)),
        ({"size": {"shortest_edge": 16}}, (3, 16, 16)),
        (
            {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 16, "width": 16}},
            (3, 16, 16),
        ),
    ],
)
def test_processor_gives_size_and_normalisation(tmp_path: Path, processor: dict[str, object], shape: object) -> None:
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", num_labels=5
    )
    config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="nothing says which images"):
        load_model(f"hf:{tmp_path}")
    kind = transformers.ConvNextImageProcessor if "crop_size" not in processor else transformers.BitImageProcessor
    kind(**processor, image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6]).save_pretrained(tmp_path)
    record = load_model(f"hf:{tmp_path}").record
    assert (record.input_shape, record.mean, record.std) == (shape, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_a_configuration_alone_gives_random_weights_of_any_size(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    target = load_model(f"hf:{folder}", classes=3, input_shape=(1, 8, 24))
    assert target.model(torch.rand(2, 1, 8, 24)).shape == (2, 3)
    assert target.record.weights is None
    assert load_model(f"hf:{folder}", classes=3, input_shape=(1, 8, 24)).record.sha256 == target.record.sha256


def test_checkpoint_instead_of_the_folder_s_weights(folder: Path, tmp_path: Path) -> None:
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**{**CONFIG, "num_labels": 3}))
    torch.save({"state_dict": model.state_dict()}, tmp_path / "tuned.pt")
    target = load_model(f"hf:{folder}", classes=3, checkpoint=tmp_path / "tuned.pt")
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(target.model(images), model.eval()(images).logits)
    assert target.record.weights is None


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"classes": 3}, r"2 weights of .* have another shape \(classifier.bias"),
        ({"input_shape": (3, 32, 32)}, "1 weights of .* have another shape .*position_embeddings"),
    ],
)
def test_weights_that_do_not_fit_are_never_left_random(folder: Path, flags: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_model(f"hf:{folder}", **flags)  # type: ignore[arg-type]


def test_a_body_without_classifier_is_refused(tmp_path: Path) -> None:
    transformers.ViTModel(transformers.ViTConfig(**CONFIG)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"lacks 2 weights of an image classifier \(classifier.bias"):
        load_model(f"hf:{tmp_path}")


def test_unreachable_and_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none is no folder"):
        load_model(f"hf:{tmp_path}/none")
    with pytest.raises(ModelError, match=r"cannot fetch somebody/something: .* need the network") as caught:
        load_model("hf:somebody/something")
    assert "\n" not in str(caught.value)
