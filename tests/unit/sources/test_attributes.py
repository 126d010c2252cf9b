"""Named attributes of images: how they come, what is refused, and that they stay with their image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goldcut.errors import DataError
from goldcut.sources.images import divide, from_arrays, load_images

N = 40
X = np.random.default_rng(0).integers(0, 256, (N, 5, 4, 3), dtype=np.uint8)
Y = np.arange(N) % 2
SMILES, PERSON = X[:, 0, 0, 0] > 127, X[:, 1, 1, 1].astype(np.int64)


def stored(path: Path, **arrays: Any) -> str:
    np.savez(path / "faces.npz", **arrays)
    return f"npz:{path / 'faces.npz'}"


@pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
def test_they_stay_with_their_image(tmp_path: Path, split: bool):
    columns = np.stack([SMILES, PERSON], axis=1)
    arrays: dict[str, Any] = {"x": X, "y": Y, "a": columns}
    if split:
        arrays = {f"{key}_train": value[:25] for key, value in arrays.items()} | {
            f"{key}_test": value[25:] for key, value in arrays.items()
        }
    pack = load_images(stored(tmp_path, attributes=["smiles", "person"], **arrays))
    parts = divide(pack.scanned, pack.attacker, victims=8, seed=1)
    for part in (parts.training, parts.selection, parts.victims):
        assert list(part.attributes) == ["smiles", "person"]
        pixels = part.pixels(range(len(part)))
        np.testing.assert_array_equal(part.attributes["smiles"], pixels[:, 0, 0, 0] > 127)
        np.testing.assert_array_equal(part.attributes["person"], pixels[:, 1, 1, 1])


def test_one_column_needs_no_second_axis(tmp_path: Path):
    images = load_images(stored(tmp_path, x=X, y=Y, a=PERSON, attributes="person")).scanned
    np.testing.assert_array_equal(images.attributes["person"], PERSON)


def test_they_can_be_added_to_images_that_were_scanned():
    plain, known = (from_arrays(X, Y, attributes=attributes).record for attributes in (None, {"smiles": SMILES}))
    assert plain == known


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"label": Y}, "called 'label', which is the class"),
        ({"smiles": SMILES[:-1]}, r"attribute 'smiles' has shape \(39,\) and there are 40 images"),
        ({"age": Y + 0.5}, "attribute 'age' is float64"),
        ({"smiles": np.where(SMILES, 1, -1)}, r"attribute 'smiles' is -1 for image \d+, outside 0"),
    ],
)
def test_what_is_no_attribute_is_refused(attributes: dict[str, Any], said: str):
    with pytest.raises(DataError, match=said):
        from_arrays(X, Y, attributes=attributes)


@pytest.mark.parametrize("names", [{"attributes": ["one"]}, {"attributes": ["same", "same"]}])
def test_columns_without_a_name_each_are_refused(tmp_path: Path, names: dict[str, Any]):
    with pytest.raises(DataError, match=r"the attributes have shape \(40, 2\)"):
        load_images(stored(tmp_path, x=X, y=Y, a=np.stack([SMILES, PERSON], axis=1), **names))


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"a": SMILES}, "a, attributes"),
        ({"attributes": ["smiles"]}, "a, attributes"),
        ({"a_train": SMILES, "a_test": SMILES, "attributes": ["smiles"]}, "a, attributes"),
    ],
)
def test_attributes_in_part_or_of_the_other_layout_are_refused(tmp_path: Path, given: dict[str, Any], needed: str):
    with pytest.raises(DataError, match=f"Give {needed}, or none of them"):
        load_images(stored(tmp_path, x=X, y=Y, **given))
