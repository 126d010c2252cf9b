from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goldcut.errors import DataError
from goldcut.sources.images import load_images


def save(path: Path, size: tuple[int, int] = (6, 4), value: int = 7, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(path)


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    for number in range(3):
        save(tmp_path / "dog" / f"{number}.png", value=100 + number)
        save(tmp_path / "cat" / "deeper" / f"{number}.PNG", (9, 9), value=number)
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def test_a_class_a_folder(animals: Path) -> None:
    pack = load_images(f"imagefolder:{animals}", shape=(3, 4, 4))
    images = pack.scanned
    assert pack.attacker is None
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.pixels([2, 3])[:, 0, 0, 0].tolist() == [2, 100]
    note = images.record.note
    assert "resized to cover 4 x 4 (bilinear) and centre-cropped" in note
    assert "1 files with other endings were left out" in note


def test_agrees_with_torchvision_where_nothing_is_resized(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    generator = np.random.default_rng(0)
    for name in "abab":
        (tmp_path / name).mkdir(exist_ok=True)
        pixels = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name / f"{pixels[0, 0, 0]}.png")
    ours, theirs = load_images(f"imagefolder:{tmp_path}").scanned, ImageFolder(tmp_path)
    assert ours.shape == (3, 5, 6)
    assert ours.classes == tuple(theirs.classes)
    assert ours.labels.tolist() == theirs.targets
    expected = np.stack([np.asarray(theirs[row][0]) for row in range(len(theirs))])
    assert (ours.pixels(range(len(ours))) == expected).all()


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_train_and_test_are_a_split(tmp_path: Path, held_out: str) -> None:
    for number in range(2):
        save(tmp_path / "train" / "a" / f"{number}.png")
        save(tmp_path / "train" / "b" / f"{number}.png")
        save(tmp_path / held_out / "b" / f"{number}.png")
        save(tmp_path / held_out / "c" / f"{number}.png")
    pack = load_images(f"imagefolder:{tmp_path}")
    assert pack.attacker is not None
    assert (pack.attacker.part, pack.scanned.part) == ("train", held_out)
    assert pack.attacker.classes == pack.scanned.classes == ("a", "b", "c")
    assert pack.attacker.labels.tolist() == [0, 0, 1, 1]
    assert pack.scanned.labels.tolist() == [1, 1, 2, 2]


def test_classes_called_train_and_test_are_no_split(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / "train" / f"{number}.png")
        save(tmp_path / "test" / f"{number}.png")
    pack = load_images(f"imagefolder:{tmp_path}")
    assert pack.attacker is None
    assert pack.scanned.classes == ("test", "train")


def test_gray_files_have_one_channel_unless_the_model_wants_three(tmp_path: Path) -> None:
    for name in "aabb":
        save(tmp_path / name / f"{len(list(tmp_path.rglob('*.png')))}.png", mode="L")
    assert load_images(f"imagefolder:{tmp_path}").scanned.shape == (1, 4, 6)
    assert load_images(f"imagefolder:{tmp_path}", shape=(3, 4, 4)).scanned.batch([0]).shape == (1, 3, 4, 4)


def test_a_corrupt_file_is_named_when_it_is_read(animals: Path) -> None:
    (animals / "dog" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    images = load_images(f"imagefolder:{animals}", shape=(3, 4, 4)).scanned
    images.batch([0, 3])
    with pytest.raises(DataError, match=r"dog/1\.png is no readable image"):
        images.hashes()
    with pytest.raises(DataError, match=r"dog/1\.png is no readable image"):
        load_images(f"imagefolder:{animals}")


def test_what_cannot_be_used(animals: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"images differ in size \(.*cat.*: 9x9, .*dog.*: 6x4\)"):
        load_images(f"imagefolder:{animals}")
    with pytest.raises(DataError, match="1 or 3 channels and the model receives 4"):
        load_images(f"imagefolder:{animals}", shape=(4, 8, 8))
    with pytest.raises(DataError, match="none is no folder"):
        load_images(f"imagefolder:{tmp_path / 'none'}")
    with pytest.raises(DataError, match="dog has no sub-folders with images"):
        load_images(f"imagefolder:{animals / 'dog'}")
    (animals / "empty").mkdir()
    with pytest.raises(DataError, match=r"class folder .*empty holds no images"):
        load_images(f"imagefolder:{animals}")


def test_one_class_is_enough_for_an_attacker_only(tmp_path: Path) -> None:
    save(tmp_path / "all" / "0.png")
    save(tmp_path / "all" / "1.png")
    with pytest.raises(DataError, match="all 2 images are of one class"):
        load_images(f"imagefolder:{tmp_path}")
    assert len(load_images(f"imagefolder:{tmp_path}", labelled=False).scanned) == 2
