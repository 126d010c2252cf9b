from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from goldcut.errors import DataError
from goldcut.sources.pixels import ArrayPixels, FilePixels, as_hwc, check_dtype, fit_note, fit_picture

ROWS = np.array([2, 0, 2])


@given(hnp.arrays(np.uint8, st.tuples(st.just(3), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 3]))))
def test_arrays_come_back_by_row(images: np.ndarray) -> None:
    _, height, width, channels = images.shape
    assert (ArrayPixels(images, (channels, height, width)).read(ROWS) == images[ROWS]).all()
    if channels == 1:
        repeated = ArrayPixels(images, (3, height, width))
        assert (repeated.read(ROWS) == images[ROWS]).all()
        assert repeated.read(ROWS).shape[3] == 3
        assert repeated.note == "the gray channel was repeated onto 3 channels"


@pytest.mark.parametrize(
    ("came", "shape"), [((8, 8, 3), (1, 8, 8)), ((8, 8, 1), (1, 9, 8)), ((8, 8, 1), (3, 8, 9)), ((8, 8, 4), (3, 8, 8))]
)
def test_other_sizes_and_channels_are_refused_with_the_flag(came: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    height, width, channels = came
    with pytest.raises(DataError, match=f"Give --input {channels},{height},{width}"):
        fit_note(came, shape)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        ("float32", r"images are float32 and uint8 is expected.*\(x \* 255\)"),
        ("float64", r"\(x \* 255\)"),
        ("uint16", "x // 257"),
        ("int64", "Convert them to uint8 in 0..255"),
        ("object", "images are object"),
    ],
)
def test_other_types_are_refused_with_their_conversion(dtype: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_dtype(np.zeros((2, 4, 4), dtype))


def test_single_images_of_a_dataset() -> None:
    assert as_hwc(np.zeros((4, 5), np.uint8), "0").shape == (4, 5, 1)
    assert as_hwc(np.zeros((4, 5, 3), np.uint8), "0").shape == (4, 5, 3)
    assert as_hwc(torch.zeros(3, 4, 5, dtype=torch.uint8), "0").shape == (4, 5, 3)
    with pytest.raises(DataError, match=r"image 7 has shape \(4,\)"):
        as_hwc(np.zeros(4, np.uint8), "7")


def test_pictures_cover_the_shape_and_are_cropped_in_the_middle() -> None:
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 200  # the middle square
    assert (fit_picture(Image.fromarray(wide), (3, 4, 4), "wide") == 200).all()
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    assert (fit_picture(Image.fromarray(tall), (3, 8, 8), "tall").shape) == (8, 8, 3)
    assert fit_picture(Image.fromarray(tall), (3, 8, 8), "tall").mean() > 150


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (fit_picture(Image.fromarray(pixels), (3, 5, 7), "same") == pixels).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_8_bit_mode_is_read(tmp_path: Path, mode: str, channels: int) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new(mode, (6, 6), 1 if mode == "1" else None).save(path)
    assert FilePixels([path], (channels, 4, 4)).read(np.array([0])).shape == (1, 4, 4, channels)


@pytest.mark.parametrize(("mode", "suffix"), [("I;16", "png"), ("F", "tif"), ("I", "tif")])
def test_deeper_modes_are_refused_by_name(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"deep.{suffix}"
    Image.new(mode, (6, 6)).save(path)
    with pytest.raises(DataError, match=f"deep.{suffix} has more than 8 bits a channel"):
        FilePixels([path], (3, 6, 6)).read(np.array([0]))


@pytest.mark.parametrize("cut", [0, 20, 60])
def test_a_corrupt_file_is_named(tmp_path: Path, cut: int) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(good)
    bad.write_bytes(good.read_bytes()[:cut])
    pixels = FilePixels([good, bad], (3, 16, 16))
    assert (pixels.read(np.array([0]))[0] == noise).all()
    with pytest.raises(DataError, match=r"bad\.png is no readable image"):
        pixels.read(np.array([0, 1]))


def test_pictures_for_a_model_of_two_channels() -> None:
    with pytest.raises(DataError, match="1 or 3 channels and the model receives 2"):
        FilePixels([], (2, 8, 8))
