"""Label distributions: against PyTorch's own, against hand-worked cases, and what is refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy as torch_cross_entropy
from torch.nn.functional import one_hot as torch_one_hot

from goldcut.errors import TrainingError
from goldcut.training.labels import FULL, HELD, blend, draw_box, one_hot, patch, smoothed, warmed
from goldcut.training.losses import cross_entropy
from goldcut.training.specs import parse_targets
from goldcut.training.targets import Mixed, Smooth, Teacher

LABELS = torch.tensor([0, 3, 1, 3])
IMAGES = torch.rand(4, 2, 6, 8, generator=torch.Generator().manual_seed(0))


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_one_hot_is_that_of_pytorch():
    assert torch.equal(one_hot(LABELS, 5), torch_one_hot(LABELS, 5).float())


@given(st.floats(0, 0.7), st.integers(2, 12), st.integers(0, 10**6))
def test_smoothing_is_that_of_pytorch_with_epsilon_alpha_k_over_k_minus_one(alpha: float, classes: int, seed: int):
    alpha = min(alpha, (classes - 1) / classes)
    generator = noise(seed)
    labels = torch.randint(classes, (6,), generator=generator)
    logits = torch.randn(6, classes, generator=generator, dtype=torch.float64) * 3
    epsilon = min(1.0, alpha * classes / (classes - 1))
    expected = torch_cross_entropy(logits, labels, label_smoothing=epsilon)
    assert cross_entropy(logits, smoothed(labels, classes, alpha).double()).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


@given(st.floats(-0.5, 0.9), st.integers(2, 12))
def test_smoothing_sums_to_one_and_leaves_one_minus_alpha(alpha: float, classes: int):
    labels = torch.arange(classes)
    targets = smoothed(labels, classes, alpha)
    assert torch.allclose(targets.sum(1), torch.ones(classes), atol=1e-5)
    assert torch.allclose(targets.diagonal(), torch.full((classes,), 1 - alpha))


def test_negative_smoothing_is_held_back_and_then_grows():
    assert [warmed(-0.05, share) for share in (0.0, HELD, FULL, 1.0)] == [0.0, 0.0, -0.05, -0.05]
    shares = np.linspace(0, 1, 21)
    assert all(np.diff([warmed(-0.05, share) for share in shares]) <= 0)
    assert Smooth(-0.05).settled == FULL
    assert Smooth(0.3).settled == 0
    early, late = (Smooth(-0.05).lesson(IMAGES, LABELS, 5, share, noise()).targets for share in (0.1, 0.9))
    assert early.min() == 0
    assert late.max() == pytest.approx(1.05)


def test_a_blend_by_hand():
    images, targets = torch.tensor([[[[0.0]]], [[[1.0]]]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    mixed, mixed_targets = blend(images, targets, torch.tensor([1, 0]), 0.75)
    assert mixed.flatten().tolist() == [0.25, 0.75]
    assert mixed_targets.tolist() == [[0.75, 0.25], [0.25, 0.75]]


def test_a_patch_by_hand():
    images = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    patched, mixed = patch(images, targets, torch.tensor([1, 0]), (1, 3, 0, 2))
    assert patched[0].sum() == 4
    assert patched[1].sum() == 12
    assert mixed.tolist() == [[0.75, 0.25], [0.25, 0.75]]


@given(st.floats(0, 1), st.integers(0, 10**6))
def test_a_box_lies_in_the_image_and_is_no_larger_than_asked(keep: float, seed: int):
    top, bottom, left, right = draw_box(20, 12, keep, np.random.default_rng(seed))
    assert 0 <= top <= bottom <= 20
    assert 0 <= left <= right <= 12
    assert (bottom - top) * (right - left) <= (1 - keep) * 240 + 1e-9


@pytest.mark.parametrize("how", ["mixup", "cutmix"])
def test_mixtures_keep_the_mean_pixel_in_step_with_the_targets(how: str):
    """An image of class k is constant k, so the mean pixel must be the expected class of the target."""
    images = LABELS.float()[:, None, None, None].expand(4, 1, 6, 8).contiguous()
    lesson = Mixed(how, 1.0).lesson(images, LABELS, 5, 0.0, noise(3))
    assert lesson.labels is None
    assert torch.allclose(lesson.targets.sum(1), torch.ones(4))
    assert torch.allclose(lesson.images.mean((1, 2, 3)), lesson.targets @ torch.arange(5.0), atol=1e-5)


@pytest.mark.parametrize("how", ["mixup", "cutmix"])
def test_mixtures_are_a_function_of_the_seed(how: str):
    one, same, other = (Mixed(how, 1.0).lesson(IMAGES, LABELS, 5, 0.0, noise(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.targets, other.targets)


def test_a_teacher_gives_its_softmax(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(96, 5))
    teacher = parse_targets(f"teacher:{tmp_path}/net.safetensors")
    with pytest.raises(TrainingError, match="not loaded"):
        teacher.lesson(IMAGES, LABELS, 5, 0.0, noise())
    asked = []
    lesson = teacher.taught(lambda path: asked.append(path) or model).lesson(IMAGES, LABELS, 5, 0.0, noise())
    assert asked == [tmp_path / "net.safetensors"]
    assert torch.allclose(lesson.targets, model(IMAGES).softmax(1))
    assert not lesson.targets.requires_grad
    assert torch.equal(lesson.labels, LABELS)


@pytest.mark.parametrize("spec", ["one-hot", "smooth:0.3", "smooth:-0.05", "mixup:0.4", "cutmix:1", "teacher:a/b.pt"])
def test_a_spec_is_what_it_is_parsed_from(spec: str):
    assert parse_targets(spec).spec == spec


def test_names_without_a_number_take_the_usual_one():
    assert parse_targets("mixup") == Mixed("mixup", 1.0)
    assert isinstance(parse_targets("teacher:x"), Teacher)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("smoth:0.3", "Did you mean smooth"),
        ("smooth", "smooth:0.3"),
        ("smooth:lots", "'lots' is no number"),
        ("smooth:1.2", r"alpha is 1.2 and must be in \[-0.5, 1\)"),
        ("smooth:-3", "alpha is -3"),
        ("smooth:nan", "alpha is nan"),
        ("mixup:0", "strength of mixup is 0"),
        ("one-hot:2", "are no targets"),
        ("teacher:", "are no targets"),
    ],
)
def test_what_is_refused(spec: str, words: str):
    with pytest.raises(TrainingError, match=words):
        parse_targets(spec)


def test_alpha_must_leave_the_class_most():
    Smooth(0.49).check(2)
    with pytest.raises(TrainingError, match=r"below 0\.5"):
        Smooth(0.5).check(2)
    assert math.isclose(float(smoothed(torch.tensor([0]), 2, 0.49)[0, 0]), 0.51, abs_tol=1e-6)
