import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.errors import DataError
from goldcut.sources.images import Images, Parts, divide, from_arrays


def images(values: list[int], part: str = "all") -> Images:
    """One image a value; equal values are duplicates."""
    x = np.array(values, np.uint8).reshape(-1, 1, 1, 1).repeat(4, axis=1)
    return from_arrays(x, np.arange(len(values)) % 2, spec="values", part=part, labelled=False)


def values(part: Images) -> list[int]:
    return part.pixels(range(len(part)))[:, 0, 0, 0].tolist()


def assert_sound(parts: Parts, asked: int) -> None:
    seen = [set(values(part)) for part in (parts.training, parts.selection, parts.victims)]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    assert len(seen[2]) == len(parts.victims) == asked
    different = len(seen[0] | seen[1])
    assert len(seen[1]) == max(1, round(0.1 * different))


MANY = st.lists(st.integers(0, 40), min_size=1, max_size=120)


@settings(max_examples=200, deadline=None)
@given(MANY, st.integers(1, 20), st.integers(0, 5))
def test_one_data_set_is_divided_without_common_images_or_losses(pool: list[int], victims: int, seed: int) -> None:
    scanned = images(pool)
    if len(set(pool)) < victims + 10:
        with pytest.raises(DataError):
            divide(scanned, None, victims=victims, seed=seed)
        return
    parts = divide(scanned, None, victims=victims, seed=seed)
    assert_sound(parts, victims)
    kept = values(parts.training) + values(parts.selection) + values(parts.victims)
    assert len(kept) + parts.duplicates_removed == len(pool)
    drawn = set(values(parts.victims))
    assert sorted(kept) == sorted([value for value in pool if value not in drawn] + list(drawn))


@settings(max_examples=200, deadline=None)
@given(MANY, MANY, st.integers(1, 20), st.integers(0, 5))
def test_two_data_sets_are_divided_likewise(pool: list[int], other: list[int], victims: int, seed: int) -> None:
    scanned, attacker = images(pool, "test"), images(other, "train")
    try:
        parts = divide(scanned, attacker, victims=victims, seed=seed)
    except DataError:
        assert len(set(pool)) < victims or len(set(other)) < 10 + victims
        return
    assert_sound(parts, victims)
    kept = values(parts.training) + values(parts.selection)
    assert len(kept) + parts.duplicates_removed == len(other)
    assert set(values(parts.victims)) <= set(pool)
    assert sorted(kept) == sorted(value for value in other if value not in set(values(parts.victims)))


def test_a_seed_gives_the_same_parts_and_another_seed_others() -> None:
    pool = images(list(range(200)))
    first, again, other = (divide(pool, None, victims=30, seed=seed) for seed in (1, 1, 2))
    for name in ("training", "selection", "victims"):
        assert values(getattr(first, name)) == values(getattr(again, name))
        assert values(getattr(first, name)) != values(getattr(other, name))


def test_the_first_of_each_part_stand_for_all_classes_of_sorted_data() -> None:
    sorted_data = from_arrays(np.random.default_rng(0).integers(0, 256, (400, 4, 4), np.uint8), np.repeat([0, 1], 200))
    parts = divide(sorted_data, None, victims=100, seed=0)
    for part, first in ((parts.training, 40), (parts.selection, 20), (parts.victims, 20)):
        assert 0.2 < part.labels[:first].mean() < 0.8


def test_fewer_victims_are_the_first_of_more() -> None:
    pool = images(list(range(200)))
    few, many = (divide(pool, None, victims=count, seed=3).victims for count in (10, 50))
    assert values(few) == values(many)[:10]


def test_victims_are_drawn_uniformly() -> None:
    pool = images(list(range(40)))
    drawn = np.bincount(
        [value for seed in range(400) for value in values(divide(pool, None, victims=10, seed=seed).victims)],
        minlength=40,
    )
    expected, deviation = 100, (400 * 0.25 * 0.75) ** 0.5
    assert (abs(drawn - expected) < 5 * deviation).all()


def test_parts_are_named_and_keep_their_labels() -> None:
    parts = divide(images(list(range(50)), "test"), images(list(range(100, 150)), "train"), victims=5, seed=0)
    assert [parts.training.part, parts.selection.part, parts.victims.part] == [
        "train/training",
        "train/selection",
        "test/victims",
    ]
    assert (parts.victims.labels == np.array(values(parts.victims)) % 2).all()
    assert (
        divide(images(list(range(50))), None, victims=5, seed=0, auxiliary_same_data=False).auxiliary_same_data is False
    )


def test_the_attacker_may_hold_the_scanned_images_themselves() -> None:
    pool = images(list(range(50)))
    parts = divide(pool, pool, victims=5, seed=0)
    assert_sound(parts, 5)
    assert parts.duplicates_removed == 5


@pytest.mark.parametrize(
    ("victims", "words"),
    [
        (0, "0 victims were asked for"),
        (31, "31 victims were asked for and there are 30"),
        (25, "left with 5 different"),
    ],
)
def test_too_few_images(victims: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        divide(images(list(range(30)) * 2), None, victims=victims, seed=0)


def test_images_of_two_shapes() -> None:
    other = from_arrays(np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2, spec="other")
    with pytest.raises(DataError, match=r"attacker's images are \(1, 8, 8\) and the victims \(1, 4, 1\)"):
        divide(images(list(range(30))), other, victims=5, seed=0)
