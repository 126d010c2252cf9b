from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.utils.data import Dataset, IterableDataset

from goldcut.errors import DataError
from goldcut.sources.datasets import DATASETS, read_dataset
from goldcut.sources.images import load_images

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)


class Items(Dataset[Any]):
    """Images and labels as they are given."""

    def __init__(self, images: Any, labels: Any = (0, 1, 0, 1, 0, 1)) -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Any:
        return self.images[row], self.labels[row]


def read(dataset: Any, shape: Any = None) -> Any:
    return read_dataset("spec", dataset, "all", shape, labelled=True)


@pytest.mark.parametrize(
    "images",
    [PIXELS, torch.from_numpy(PIXELS).permute(0, 3, 1, 2), [Image.fromarray(image) for image in PIXELS]],
    ids=["arrays", "tensors", "pictures"],
)
def test_images_of_every_kind(images: Any) -> None:
    ours = read(Items(images))
    assert ours.shape == (3, 5, 4)
    assert (ours.pixels([5, 0]) == PIXELS[[5, 0]]).all()
    assert ours.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_hashes_of_the_first_pass_are_those_of_the_pixels() -> None:
    from goldcut.sources.labelled import from_arrays

    expected = from_arrays(PIXELS, [0, 1] * 3, spec="spec")
    assert (read(Items(PIXELS)).hashes() == expected.hashes()).all()
    assert read(Items(PIXELS)).record == expected.record


@pytest.mark.parametrize("labels", [np.array([0, 1] * 3), torch.tensor([0, 1] * 3), [False, True] * 3])
def test_labels_of_every_integer_kind(labels: Any) -> None:
    assert read(Items(PIXELS, labels)).labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_gray_images_are_repeated_and_pictures_resized() -> None:
    gray = read(Items(PIXELS[..., 0]), (3, 5, 4))
    assert (gray.pixels([1])[0] == PIXELS[1, :, :, :1]).all()
    pictures = read(Items([Image.fromarray(image) for image in PIXELS]), (1, 8, 8))
    assert pictures.batch([0]).shape == (1, 1, 8, 8)
    assert "resized to cover 8 x 8" in pictures.record.note
    assert read(Items([Image.fromarray(image[..., 0]) for image in PIXELS])).shape == (1, 5, 4)


def test_class_names() -> None:
    dataset = Items(PIXELS)
    dataset.classes = ["cat", "dog"]  # type: ignore[attr-defined]
    assert read(dataset).classes == ("cat", "dog")


class Changing(Items):
    def __getitem__(self, row: int) -> Any:
        return np.random.default_rng().integers(0, 256, (4, 4), dtype=np.uint8), 0


class Failing(Items):
    def __getitem__(self, row: int) -> Any:
        if row == 3:
            raise OSError("disk\non fire")
        return super().__getitem__(row)


class Bare(Items):
    def __getitem__(self, row: int) -> Any:
        return self.images[row]


class Endless(Dataset[Any]):
    def __getitem__(self, row: int) -> Any:
        return PIXELS[0], 0


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (Items(PIXELS.astype("float32") / 255), "float32 and uint8 is expected"),
        (Items(torch.rand(6, 3, 5, 4)), "float32 and uint8 is expected"),
        (Items(PIXELS, [0, 1, 0.5, 1, 0, 1]), "label 0.5 of image 2 is no integer"),
        (Items(PIXELS, [0, 1, -1, 1, 0, 1]), "label -1 of image 2 is outside"),
        (Items(PIXELS, [None] * 6), "label None of image 0 is no integer"),
        (Items(PIXELS, [0] * 6), "are of one class"),
        (Items(PIXELS[:0]), "without items or length"),
        (Items([*PIXELS[:5], PIXELS[5, :3]]), "images are 3,3,4 and the model receives 3,5,4"),
        (Changing(PIXELS), "image 0 of spec changes when it is read again"),
        (Failing(PIXELS), "fails at item 3: OSError: disk"),
        (Bare(PIXELS), "fails at item 0: ValueError"),
        (Endless(), "without items or length"),
    ],
)
def test_what_cannot_be_used(dataset: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(dataset)
    assert "\n" not in str(caught.value)


# --- torchvision -----------------------------------------------------------------------------------


def test_every_listed_data_set_exists_and_takes_its_arguments() -> None:
    import inspect

    for name, halves in DATASETS.items():
        parameters = inspect.signature(getattr(torchvision.datasets, name).__init__).parameters
        assert all(argument in parameters for half in halves for argument in half)


class Digits(Items):
    classes = ("zero", "one")

    def __init__(self, root: str, train: bool = True) -> None:
        if root != "here":
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        super().__init__(PIXELS if train else PIXELS[:4], [0, 1] * 3)


def test_the_training_half_is_the_attacker_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets, "MNIST", Digits)
    pack = load_images("torchvision:MNIST:here")
    assert pack.attacker is not None
    assert (len(pack.scanned), pack.scanned.part, len(pack.attacker), pack.attacker.part) == (4, "test", 6, "train")
    assert pack.scanned.classes == ("zero", "one")


def test_reads_what_torchvision_stores_on_disk(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for half, count in (("train", 6), ("t10k", 4)):
        images = PIXELS[:count, :, :, 0]
        shape = np.array(images.shape, ">i4").tobytes()
        (raw / f"{half}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + shape + images.tobytes())
        labels = np.array([0, 1] * 3, np.uint8)[:count].tobytes()
        (raw / f"{half}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + np.array([count], ">i4").tobytes() + labels)
    pack = load_images(f"torchvision:MNIST:{tmp_path}")
    assert pack.attacker is not None
    assert (pack.attacker.pixels(range(6)) == PIXELS[..., :1]).all()
    assert pack.scanned.labels.tolist() == [0, 1, 0, 1]
    assert pack.scanned.classes[7] == "7 - seven"


def test_absent_and_unknown_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=r"CIFAR10 of torchvision is not under 'data'.*CIFAR10\('data', download=True\)"
    ):
        load_images("torchvision:CIFAR10")
    with pytest.raises(DataError, match="Flowers102 of torchvision is not under 'elsewhere'"):
        load_images("torchvision:Flowers102:elsewhere")
    with pytest.raises(DataError, match=r"no data set 'CIFAR11' .*Did you mean CIFAR10"):
        load_images("torchvision:CIFAR11")
    assert list(tmp_path.iterdir()) == []


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from ()


def test_stream_has_no_length() -> None:
    with pytest.raises(DataError, match="without items or length"):
        read(Stream())
