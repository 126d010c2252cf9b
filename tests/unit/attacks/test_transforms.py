"""Point-wise transforms of Z: what they compute, and which one is chosen."""

import numpy as np
import pytest
import torch

from goldcut.attacks.base import Sample, View
from goldcut.attacks.transforms import TRANSFORMS, choose_transform, fit_transform
from goldcut.records import Kind


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("shape", "kind", "over"), [((4, 5, 6), "map", (0, 2, 3)), ((7, 5), "tokens", (0, 1)), ((9,), "vector", (0,))]
)
def test_standardise_agrees_with_numpy_per_channel(shape: tuple[int, ...], kind: Kind, over: tuple[int, ...]):
    z = 1000 + 3 * draw(600, *shape) ** 2
    transform = fit_transform("standardise", z, kind)
    assert transform is not None
    array = z.double().numpy()
    expected = (array - array.mean(over, keepdims=True)) / array.std(over, keepdims=True)
    np.testing.assert_allclose(transform(z), expected, atol=2e-3)


def test_a_channel_that_never_changes_becomes_zero():
    z = torch.cat([draw(50, 1), torch.full((50, 1), 3.7), torch.zeros(50, 1)], dim=1)
    transform = fit_transform("standardise", z, "vector")
    assert transform is not None
    assert transform(z)[:, 1:].abs().max() < 1e-3


def test_log_undoes_softmax_up_to_a_shift_and_logit_undoes_sigmoid():
    logits = 8 * torch.randn(500, 6, generator=torch.Generator().manual_seed(1))
    log = fit_transform("log", logits.softmax(1), "vector")
    assert log is not None
    shift = log.point(logits.softmax(1)) - logits
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=1e-3, rtol=0)
    logit = fit_transform("logit", (logits / 2).sigmoid(), "vector")
    assert logit is not None
    torch.testing.assert_close(logit.point((logits / 2).sigmoid()), logits / 2, atol=2e-2, rtol=0)


def test_what_the_values_do_not_allow_is_left_out():
    assert fit_transform("log", draw(20, 3) - 0.5, "vector") is None
    assert fit_transform("logit", draw(20, 3) + 0.5, "vector") is None
    assert fit_transform("log", torch.zeros(20, 3), "vector") is None


@pytest.mark.parametrize("name", TRANSFORMS)
def test_zeros_and_ones_and_values_never_seen_stay_finite(name: str):
    z = torch.eye(4)[torch.arange(200) % 4]
    transform = fit_transform(name, z, "vector")
    assert transform is not None
    assert torch.isfinite(transform(torch.tensor([[0.0, 1.0, -1.0, 2.0]]))).all()


def squeezed(kind: str) -> View:
    generator = torch.Generator().manual_seed(2)
    hidden = torch.randn(600, 5, generator=generator)
    images = ((0.5 + 0.12 * hidden @ torch.randn(5, 36, generator=generator)).clamp(0, 1) * 255).to(torch.uint8)
    z = {"softmax": (6 * hidden).softmax(1), "sigmoid": (6 * hidden).sigmoid(), "plain": hidden}[kind]
    samples = [Sample(images[rows].reshape(-1, 1, 6, 6), z[rows]) for rows in (slice(500), slice(500, 600))]
    return View(samples[0], samples[1], kind="vector")


@pytest.mark.parametrize(("squeeze", "chosen"), [("softmax", "log"), ("sigmoid", "logit"), ("plain", "standardise")])
def test_the_selection_images_choose_what_undoes_the_squeezing(squeeze: str, chosen: str):
    assert choose_transform(squeezed(squeeze), seed=0).name == chosen
