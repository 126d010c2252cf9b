"""The picture grid: the stored pixels, in the order of the network."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import report_samples as samples
from goldcut.errors import RunError
from goldcut.report.gallery import SHOWN, Picture, read_gallery


def pixels(picture: Picture) -> np.ndarray:
    content = base64.b64decode(picture.source.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)))


def test_rows_follow_the_network_and_hold_the_stored_pixels(tmp_path: Path) -> None:
    scan, attack = samples.resnet_scan(), samples.resnet_attack()
    path = tmp_path / "gallery.npz"
    samples.write_gallery(path, ["output", "layer4.0", "bn1"], attack)
    strips = read_gallery(path, scan, attack)
    assert [strip.title for strip in strips] == ["Victims", "bn1", "layer4.0", "output"]
    assert [strip.recommended for strip in strips] == [False, False, True, False]
    assert {len(strip.pictures) for strip in strips} == {SHOWN}
    with np.load(path) as stored:
        np.testing.assert_array_equal(pixels(strips[0].pictures[3]), stored["victims"][3])
        np.testing.assert_array_equal(pixels(strips[1].pictures[3]), stored["recon__2"][3])
    assert strips[1].pictures[3].alt == "reconstruction at bn1 of victim 4: cat"
    assert strips[2].detail.startswith("decoder-M, 25")


def test_grey_images_and_labels_without_names_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "gallery.npz"
    grey = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8, 1)
    np.savez(
        path,
        victims=grey,
        labels=np.array([0, 99]),
        recon__0=grey,
        names=np.array(["bn1"]),
        attacks=np.array(["ridge"]),
    )
    strips = read_gallery(path, samples.resnet_scan(), samples.resnet_attack())
    np.testing.assert_array_equal(pixels(strips[0].pictures[1]), grey[1, ..., 0])
    assert strips[0].pictures[1].alt == "victim 2: class 99"


def test_a_run_without_pictures_has_no_rows(tmp_path: Path) -> None:
    assert read_gallery(tmp_path / "gallery.npz", samples.resnet_scan(), samples.resnet_attack()) == ()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gallery.npz"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"gallery\.npz is damaged"):
        read_gallery(path, samples.resnet_scan(), samples.resnet_attack())
