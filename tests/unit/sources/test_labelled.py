import hashlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from goldcut.errors import DataError
from goldcut.sources.labelled import STREAMED, Images, from_arrays, hash_pixels


def digits(count: int = 6, **options: Any) -> Images:
    x = np.random.default_rng(0).integers(0, 256, (count, 5, 4, 3), dtype=np.uint8)
    return from_arrays(x, np.arange(count) % 2, spec="digits", **options)


def test_batches_are_what_torchvision_makes_of_them() -> None:
    from torchvision.transforms.functional import to_tensor

    images = digits()
    expected = torch.stack([to_tensor(image) for image in images.pixels([4, 1])])
    batch = images.batch([4, 1])
    assert torch.equal(batch, expected)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous()


def test_shape_labels_and_names() -> None:
    images = digits(classes=["even", "odd", "neither"])
    assert (images.shape, len(images), images.classes) == ((3, 5, 4), 6, ("even", "odd", "neither"))
    assert images.labels.dtype == np.int64
    assert digits().classes == ("0", "1")
    assert repr(images) == "Images('digits', part='all', images=6, shape=(3, 5, 4))"


def test_writing_into_a_batch_leaves_the_images() -> None:
    images = digits()
    before = images.pixels([0]).copy()
    images.batch([0]).zero_()
    images.pixels([0])[:] = 0
    assert (images.pixels([0]) == before).all()


def test_subsets_of_subsets_keep_the_order_asked_for() -> None:
    images = digits()
    part = images.subset([5, 3, 1], "odd").subset(np.array([2, 0]), "ends")
    assert (part.pixels([0, 1]) == images.pixels([1, 5])).all()
    assert (part.labels == images.labels[[1, 5]]).all()
    assert part.record.part == "ends"


def test_hashes_of_a_subset_are_those_of_the_whole() -> None:
    read_first, read_after = digits(), digits()
    index = np.array([4, 0, 4])
    whole = read_first.hashes()
    assert (read_first.subset(index, "some").hashes() == whole[index]).all()
    assert (read_after.subset(index, "some").hashes() == whole[index]).all()


def test_hashes_over_several_reads() -> None:
    images = digits(STREAMED + 3)
    one_by_one = [hash_pixels(images.pixels([row])[0]) for row in range(len(images))]
    assert images.hashes().tolist() == one_by_one


@given(hnp.arrays(np.uint8, (4, 2, 2, 1), elements=st.integers(0, 1)))
def test_hashes_are_equal_where_images_are(x: np.ndarray) -> None:
    hashes = from_arrays(x, [0, 1, 0, 1], spec="x").hashes()
    same = (x[:, None] == x[None]).all(axis=(2, 3, 4))
    assert ((hashes[:, None] == hashes[None]) == same).all()


def test_record_hash_sees_pixels_labels_and_order() -> None:
    images = digits()
    by_hand = hashlib.sha256(b"".join(images.hashes().tolist()) + images.labels.astype("<i8").tobytes()).hexdigest()
    assert images.record.sha256 == digits().record.sha256 == by_hand
    x = images.pixels(range(6)).copy()
    x[3, 2, 1, 0] ^= 1
    others = [
        from_arrays(x, images.labels, spec="digits"),
        from_arrays(images.pixels(range(6)), 1 - images.labels, spec="digits"),
        images.subset([1, 0, 2, 3, 4, 5], "all"),
    ]
    assert len({other.record.sha256 for other in [images, *others]}) == 4


def test_gray_images_for_a_colour_model_are_repeated_and_said_so() -> None:
    images = from_arrays(np.full((4, 5, 4), 9, np.uint8), [0, 1, 0, 1], spec="x", shape=(3, 5, 4))
    assert images.batch([0]).shape == (1, 3, 5, 4)
    assert "repeated onto 3 channels" in images.record.note


GRAY = np.zeros((4, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("x", "y", "options", "words"),
    [
        (GRAY[0], [0, 1], {}, r"images have shape \(8, 8\)"),
        (np.zeros((4, 0, 8), np.uint8), [0, 1, 0, 1], {}, "images have shape"),
        (np.zeros((4, 3, 8, 8), np.uint8), [0, 1, 0, 1], {}, r"channels first. Move them last: x.transpose"),
        (GRAY / 255, [0, 1, 0, 1], {}, "float64 and uint8 is expected"),
        (np.full((4, 8, 8), np.nan), [0, 1, 0, 1], {}, "float64 and uint8 is expected"),
        (GRAY.astype(np.uint16), [0, 1, 0, 1], {}, "uint16 and uint8 is expected"),
        (GRAY, [0, 1, 0, 1], {"shape": (1, 28, 28)}, "Give --input 1,8,8"),
        (GRAY, [0, 1, 0], {}, "4 images and 3 labels"),
        (GRAY[:0], [], {}, "there are no images"),
        (GRAY, [0.0, 1.0, 0.0, 1.0], {}, "labels are float64 and integers"),
        (GRAY, [0, 1, float("nan"), 1], {}, "labels are float64 and integers"),
        (GRAY, ["cat", "dog", "cat", "dog"], {}, "labels are <U3 and integers .*np.unique"),
        (GRAY, np.eye(4, dtype=int), {}, r"labels have shape \(4, 4\).*argmax"),
        (GRAY, [0, -1, 0, 1], {}, "label -1 of image 1 is outside 0"),
        (GRAY, [0, 1, 0, 2**40], {}, "label 1099511627776 of image 3 is outside"),
        (GRAY, [0, 1, 2, 1], {"classes": ["a", "b"]}, "label 2 of image 2 has no name among 2 classes"),
        (GRAY, [1, 1, 1, 1], {}, r"all 4 images are of one class \(1\)"),
        (GRAY, [3, 0, 1, 2], {}, "every class has one image"),
    ],
)
def test_what_cannot_be_used(x: Any, y: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        from_arrays(x, y, spec="x", **options)
    assert "\n" not in str(caught.value)


def test_labels_in_a_column_and_of_any_integer_type() -> None:
    column = np.array([[0], [1], [0], [1]], np.uint8)
    assert from_arrays(GRAY, column, spec="x").labels.tolist() == [0, 1, 0, 1]


def test_an_attacker_s_images_need_no_classes() -> None:
    assert len(from_arrays(GRAY, [0, 0, 0, 0], spec="x", labelled=False)) == 4
