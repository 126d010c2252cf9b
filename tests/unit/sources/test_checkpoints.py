import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from goldcut.errors import ModelError
from goldcut.models.cnn4 import CNN4
from goldcut.sources.checkpoints import load_checkpoint, read_state, strip_wrappers


def trained() -> CNN4:
    """A network with weights unlike any fresh one."""
    model = CNN4(width=2, classes=3)
    with torch.no_grad():
        for number, tensor in enumerate(model.state_dict().values()):
            tensor.fill_(number)
    return model


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def wrapped(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth", "th"])
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    state = trained().state_dict()
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    model = CNN4(width=2, classes=3)
    load_checkpoint(model, path)
    assert equal(model, trained())


@pytest.mark.parametrize(
    "nest", [("state_dict",), ("model",), ("model_state_dict",), ("net",), ("model", "state_dict")]
)
@pytest.mark.parametrize(
    "prefix", ["", "module.", "_module.", "_orig_mod.", "model.", "module._orig_mod.", "model.module."]
)
def test_nests_and_wrappers(tmp_path: Path, nest: tuple[str, ...], prefix: str) -> None:
    content: Any = wrapped(trained().state_dict(), prefix)
    for key in reversed(nest):
        content = {key: content, "epoch": 3, "best": torch.tensor(0.9)}
    path = tmp_path / "checkpoint.pt"
    torch.save(content, path)
    model = CNN4(width=2, classes=3)
    load_checkpoint(model, path)
    assert equal(model, trained())


def test_a_module_named_model_keeps_its_name() -> None:
    inner = nn.Sequential()
    inner.add_module("model", nn.Linear(2, 2))
    state = inner.state_dict()
    assert strip_wrappers(state, state) is state
    assert list(strip_wrappers(wrapped(state, "model."), state)) == list(state)


def test_old_files_lack_counters(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({name: t for name, t in trained().state_dict().items() if "num_batches_tracked" not in name}, path)
    load_checkpoint(CNN4(width=2, classes=3), path)


def test_shared_weights_may_lie_in_the_file_once(tmp_path: Path) -> None:
    def tied() -> nn.ModuleDict:
        first = nn.Linear(3, 3)
        return nn.ModuleDict({"first": first, "second": first})

    saved = tied()
    path = tmp_path / "tied.safetensors"
    save_file({name: tensor for name, tensor in saved.state_dict().items() if name.startswith("first")}, path)
    model = tied()
    load_checkpoint(model, path)
    assert equal(model, saved)


def test_every_misfit_is_listed(tmp_path: Path) -> None:
    state = trained().state_dict()
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("blocks.0.norm")}
    path = tmp_path / "misfit.pt"
    torch.save({**kept, "fc.weight": torch.zeros(7, 16), "fc.bias": torch.zeros(7), "extra.bias": torch.zeros(1)}, path)
    model = CNN4(width=2, classes=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        load_checkpoint(model, path)
    message = str(caught.value)
    assert "4 missing (blocks.0.norm.weight, blocks.0.norm.bias, blocks.0.norm.running_mean, and 1 more)" in message
    assert "1 unexpected (extra.bias)" in message
    assert "2 of another shape (fc.weight 7x16 instead of 3x16" in message
    assert "--classes 7" in message
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


class Hostile:
    def __reduce__(self) -> Any:
        return print, ("code has run",)


def test_a_pickle_that_needs_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hostile.pt"
    torch.save({"state_dict": trained().state_dict(), "args": Hostile()}, path)
    with pytest.raises(ModelError, match=r"needs code to be read \(.*print\).* runs no code"):
        read_state(path)
    torch.save(trained(), path)
    with pytest.raises(ModelError, match=r"needs code to be read \(goldcut\.models\.cnn4\.CNN4\)"):
        read_state(path)
    path.write_bytes(pickle.dumps(Hostile(), protocol=2))
    with pytest.raises(ModelError):
        read_state(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["damaged.pt", "damaged.safetensors"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"PK\x03\x04 cut off"])
def test_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged\.\w+ (cannot be read|is no safetensors)") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


def test_files_without_weights(tmp_path: Path) -> None:
    path = tmp_path / "empty.pt"
    with pytest.raises(ModelError, match="does not exist"):
        read_state(path)
    torch.save({"epoch": 3, "optimizer": {"lr": 0.1}}, path)
    with pytest.raises(ModelError, match="holds no state dict: the keys epoch, optimizer came"):
        read_state(path)
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="holds no state dict"):
        read_state(path)
