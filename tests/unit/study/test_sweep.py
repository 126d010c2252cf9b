"""Attackers with fewer images."""

import numpy as np
import pytest

from goldcut.errors import DataError
from goldcut.sources.images import Parts, divide, from_arrays
from goldcut.study.sweep import check_sizes, fewer_images


@pytest.fixture(scope="module")
def parts() -> Parts:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (1100, 4, 4), dtype=np.uint8)
    images = from_arrays(x, generator.integers(0, 3, 1100), spec="noise", part="all")
    return divide(images, None, victims=100, seed=0)


def test_fewer_images_are_the_first_of_more_and_the_victims_stay(parts: Parts) -> None:
    small, large = fewer_images(parts, 100, seed=1), fewer_images(parts, 500, seed=1)
    assert (len(small.training), len(small.selection)) == (90, 10)
    assert (len(large.training), len(large.selection)) == (450, 50)
    assert set(small.training.hashes()) <= set(large.training.hashes()) <= set(parts.training.hashes())
    assert set(small.selection.hashes()) <= set(parts.selection.hashes())
    assert np.array_equal(small.victims.hashes(), parts.victims.hashes())


def test_sizes_are_ordered_and_those_beyond_the_images_left_out(parts: Parts) -> None:
    assert check_sizes(parts, (500, 100, 1000, 9999)) == (100, 500)
    with pytest.raises(DataError, match="an attacker with 10 images"):
        check_sizes(parts, (500, 10))
