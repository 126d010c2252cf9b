import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from goldcut.errors import ModelError
from goldcut.models.cnn4 import CNN4
from goldcut.records import ModelRecord, to_json
from goldcut.sources.models import Normalised, adopt_model, hash_model, load_model

SMALL = (1, 8, 8)

NETS = """
import random
import numpy as np
import torch
from torch import nn
from collections import OrderedDict

class Net(nn.Module):
    input_shape = (1, 8, 8)
    def __init__(self, num_classes=4):
        super().__init__()
        self.fc = nn.Linear(64, num_classes)
    def forward(self, x):
        return self.fc(x.flatten(1))

class Named(Net):
    input_mean, input_std = (0.5,), (0.25,)

class Dictionary(Net):
    def forward(self, x):
        return {"features": x, "logits": self.fc(x.flatten(1))}

class Pair(Net):
    def forward(self, x):
        return self.fc(x.flatten(1)), x

class Nothing(Net):
    def forward(self, x):
        return "a picture"

class Summed(Net):
    def forward(self, x):
        return self.fc(x.flatten(1)).sum()

class Anything(nn.Module):
    def forward(self, x):
        return x.flatten(1)

class Broken(Net):
    def __init__(self):
        super().__init__()
        nn.init.constant_(self.fc.bias, float("nan"))

class Half(Net):
    def __init__(self):
        super().__init__()
        self.half()

class Numbers(Net):
    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.fc.bias.fill_(random.random() + np.random.rand())

class Drawing(Net):
    def forward(self, x):
        return self.fc(x.flatten(1)) + torch.rand(())

class Odd(Net):
    input_shape = 8

class Misnormalised(Net):
    input_mean, input_std = (0.5,), (0.0,)

instance = Net()
def lazy():
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    model.input_shape = (1, 8, 8)
    return model
def masked():
    model = Net()
    model.register_buffer("mask", torch.full((2,), float("-inf")))
    model.register_buffer("flag", torch.tensor(True))
    return model
def text():
    return "resnet"
"""


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return path


# --- normalisation ---------------------------------------------------------------------------------


def test_normalises_like_torchvision() -> None:
    from torchvision.transforms.functional import normalize

    images = torch.rand(2, 3, 8, 8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    torch.testing.assert_close(Normalised(nn.Identity(), mean, std)(images), normalize(images, mean, std))


def test_without_mean_images_pass_as_they_are() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert Normalised(nn.Identity())(images) is images


@pytest.mark.parametrize("name", ["Dictionary", "Pair", "Net"])
def test_logits_are_chosen_among_outputs(nets: Path, name: str) -> None:
    assert load_model(f"{nets}:{name}").model(torch.rand(3, *SMALL)).shape == (3, 4)


# --- specs -----------------------------------------------------------------------------------------


def test_goldcut_model() -> None:
    target = load_model("goldcut:cnn4", classes=5, input_shape=(3, 16, 16))
    assert target.input_shape == (3, 16, 16)
    assert target.model(torch.rand(2, 3, 16, 16)).shape == (2, 5)
    assert not any(module.training for module in target.model.modules())


@pytest.mark.parametrize("name", ["Net", "instance"])
def test_file_model(nets: Path, name: str) -> None:
    record = load_model(f"{nets}:{name}").record
    assert (record.input_shape, record.mean, record.weights, record.checkpoint) == (SMALL, (), None, None)


def test_file_model_with_classes_normalisation_and_flags(nets: Path) -> None:
    assert load_model(f"{nets}:Net", classes=9).model(torch.rand(2, *SMALL)).shape == (2, 9)
    assert load_model(f"{nets}:Named").record.mean == (0.5,)
    assert load_model(f"{nets}:Named", mean=(), std=()).record.mean == ()
    assert load_model(f"{nets}:Net", mean=(0.1,), std=(0.2,)).record.std == (0.2,)
    assert load_model(f"{nets}:Net", input_shape=(4, 4, 4)).input_shape == (4, 4, 4)
    assert load_model(f"{nets}:masked").record.classes is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Nothing", "returns str, expected a tensor"),
        ("Summed", r"gives a tensor of shape \(\) for 2 images"),
        ("Anything", "nothing says which images .* Give --input"),
        ("Broken", "NaN or infinite weights in fc.bias"),
        ("Half", r"torch.float16 weights \(fc.weight\), not float32"),
        ("Odd", "three positive integers C,H,W and 8 came"),
        ("Misnormalised", r"do not normalise 1 channels"),
        ("lazy", "has no shape yet for 1.weight"),
        ("text", "gave str, not a torch.nn.Module"),
        ("Nett", "Did you mean Net"),
    ],
)
def test_file_models_that_cannot_be_used(nets: Path, name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_model(f"{nets}:{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "flags", "words"),
    [
        ("resnet18", {}, "names no model. Write torchvision:NAME"),
        ("tensorflow:resnet", {}, "names no model"),
        ("goldcut:", {}, "names no model"),
        ("goldcut:cnn5", {}, "Did you mean cnn4?"),
        ("goldcut:cnn4", {"classes": 1}, "2 classes or more and 1"),
        ("goldcut:cnn4", {"input_shape": (1, 0, 8)}, "three positive integers"),
        ("goldcut:cnn4", {"input_shape": (1, 4, 4)}, "does not run on images of shape 1,4,4"),
        ("goldcut:cnn4", {"weights": "DEFAULT"}, "no pretrained weights"),
        ("goldcut:cnn4", {"weights": "DEFAULT", "checkpoint": Path("x.pt")}, "both a checkpoint and pretrained"),
        ("goldcut:cnn4", {"checkpoint": Path("none.pt")}, "none.pt does not exist"),
        ("goldcut:cnn4", {"mean": (0.5,)}, "do not normalise"),
        ("goldcut:cnn4", {"mean": (0.5, 0.5), "std": (0.5, 0.5)}, "do not normalise 1 channels"),
        ("goldcut:cnn4", {"mean": (float("nan"),), "std": (1.0,)}, "do not normalise"),
    ],
)
def test_bad_requests(spec: str, flags: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        load_model(spec, **flags)  # type: ignore[arg-type]


def test_classes_that_the_model_does_not_give(nets: Path) -> None:
    with pytest.raises(ModelError, match="gives 4 outputs and 9 classes were asked for"):
        load_model(f"{nets}:masked", classes=9)


def test_checkpoint_is_loaded_and_recorded(tmp_path: Path) -> None:
    trained, path = CNN4(classes=3), tmp_path / "trained.safetensors"
    save_file(trained.state_dict(), path)
    target = load_model("goldcut:cnn4", classes=3, checkpoint=path)
    images = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(target.model(images), trained.eval()(images))
    assert target.record.checkpoint == str(path)


def test_nan_in_a_checkpoint_is_named(tmp_path: Path) -> None:
    model, path = CNN4(), tmp_path / "nan.pt"
    model.blocks[1].norm.running_var.fill_(float("nan"))
    torch.save(model.state_dict(), path)
    with pytest.raises(ModelError, match=r"NaN in the buffer blocks\.1\.norm\.running_var"):
        load_model("goldcut:cnn4", checkpoint=path)


def test_record_survives_json(nets: Path) -> None:
    import msgspec

    record = load_model(f"{nets}:Named").record
    assert msgspec.json.decode(to_json(record), type=ModelRecord) == record
    assert json.loads(to_json(record))["input_shape"] == [1, 8, 8]


# --- randomness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["goldcut:cnn4", "{nets}:Net", "{nets}:Numbers", "{nets}:Drawing"])
def test_global_generators_stay_as_they_were(nets: Path, spec: str) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    load_model(spec.format(nets=nets))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


@pytest.mark.parametrize("spec", ["goldcut:cnn4", "{nets}:Numbers"])
def test_random_weights_are_the_same_every_time(nets: Path, spec: str) -> None:
    first = load_model(spec.format(nets=nets)).record.sha256
    torch.rand(3), np.random.rand(3)
    assert load_model(spec.format(nets=nets)).record.sha256 == first


# --- live modules ----------------------------------------------------------------------------------


def test_adopted_model_is_a_copy_and_the_caller_s_is_untouched() -> None:
    model = CNN4(width=2).train()
    model.fc.eval()
    model.fc.bias.requires_grad_(False)
    before = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    target = adopt_model(model, (1, 28, 28), mean=(0.5,), std=(0.5,))
    assert [module.training for module in model.modules()] == before
    assert not model.fc.bias.requires_grad
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module.training for module in target.model.modules())
    with torch.no_grad():
        model.fc.weight.zero_()
    assert hash_model(target.model) == target.record.sha256
    assert target.record.spec == "python:CNN4"


def test_a_target_s_model_can_be_adopted_again() -> None:
    first = adopt_model(CNN4(width=2), (1, 28, 28), mean=(0.5,), std=(0.25,))
    again = adopt_model(first.model, (1, 28, 28), spec="again")
    assert not isinstance(again.model.body, Normalised)
    assert (again.record.mean, again.record.sha256) == ((0.5,), first.record.sha256)


def test_a_model_that_cannot_be_copied() -> None:
    model = nn.Linear(4, 2)
    model.kept = model.weight * 2
    with pytest.raises(ModelError, match="python:Linear cannot be copied: RuntimeError"):
        adopt_model(model, (1, 2, 4))


def test_a_model_that_does_not_fit_the_images() -> None:
    with pytest.raises(ModelError, match="python:CNN4 does not run on images of shape 3,28,28"):
        adopt_model(CNN4(), (3, 28, 28))


# --- hash ------------------------------------------------------------------------------------------


def test_hash_sees_one_bit_names_shapes_and_types() -> None:
    layer = nn.Linear(3, 2)
    first = hash_model(layer)
    assert first == hash_model(layer)
    hashes = {first}
    with torch.no_grad():
        layer.weight.view(torch.int32)[0, 0] ^= 1
    hashes.add(hash_model(layer))
    hashes.add(hash_model(nn.Sequential(layer)))
    hashes.add(hash_model(layer.double()))
    assert len(hashes) == 4


def test_hash_of_a_known_state() -> None:
    import hashlib

    layer = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
    expected = b"weight torch.float32 (1, 2)\n" + np.array([1, 2], dtype="<f4").tobytes()
    assert hash_model(layer) == hashlib.sha256(expected).hexdigest()


class Holder(nn.Module):
    def __init__(self, tensor: Tensor) -> None:
        super().__init__()
        self.register_buffer("tensor", tensor)


@given(
    st.lists(st.integers(-128, 127), min_size=1, max_size=8), st.sampled_from([torch.bfloat16, torch.int8, torch.bool])
)
def test_hash_does_not_mind_strides(values: list[int], dtype: torch.dtype) -> None:
    tensor = torch.tensor(values).to(dtype)
    strided = torch.stack([tensor, tensor], dim=1)[:, 0]
    assert hash_model(Holder(tensor)) == hash_model(Holder(strided))
