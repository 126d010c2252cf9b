import pytest
import torch

from goldcut.training.augment import AUGMENTATIONS, REACH

IMAGES = torch.rand(40, 2, 16, 16, generator=torch.Generator().manual_seed(0))


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_keep_shape_range_and_depend_on_the_seed_alone(name: str):
    changed = AUGMENTATIONS[name](IMAGES, noise(1))
    assert changed.shape == IMAGES.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.equal(changed, AUGMENTATIONS[name](IMAGES, noise(1)))


def test_a_flip_is_the_image_or_its_mirror():
    changed = AUGMENTATIONS["flip"](IMAGES, noise())
    mirrored = [torch.equal(one, image.flip(2)) for one, image in zip(changed, IMAGES, strict=True)]
    same = [torch.equal(one, image) for one, image in zip(changed, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 5 < sum(mirrored) < 35


def test_a_shift_moves_at_most_an_eighth():
    """The middle of a shifted image is a piece of the original, at most that far away."""
    reach = 16 // REACH
    for one, image in zip(AUGMENTATIONS["shift"](IMAGES, noise()), IMAGES, strict=True):
        middle = one[:, 4:12, 4:12]
        places = [
            (down, right)
            for down in range(-reach, reach + 1)
            for right in range(-reach, reach + 1)
            if torch.equal(middle, image[:, 4 + down : 12 + down, 4 + right : 12 + right])
        ]
        assert len(places) == 1
