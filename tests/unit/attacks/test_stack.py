"""Finished attacks weighted together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from torch import Tensor

from goldcut.attacks.base import Inverse, Sample, View
from goldcut.attacks.stack import Stack, cross_fitted_error, nonnegative_weights


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(1, 5))
def test_weights_are_those_of_nonnegative_least_squares_on_the_images_themselves(seed: int, count: int):
    made, missed = draw(seed, count, 300, 5), draw(seed + 1, 300, 5)
    slow, _ = nnls(made.flatten(1).T.double().numpy(), missed.flatten().double().numpy())
    assert np.allclose(nonnegative_weights(made, missed).numpy(), slow, atol=1e-6)


def test_two_attacks_that_make_the_same_are_no_trouble():
    one = draw(0, 1, 10, 6)
    weights = nonnegative_weights(torch.cat([one, one]), one[0])
    assert float(weights.sum()) == pytest.approx(1)


def test_the_cross_fitted_error_is_that_of_images_that_were_not_fitted():
    # With as many attacks as there are pixels, any images can be fitted; those left out cannot.
    made, missed = draw(1, 6, 4, 3), draw(2, 4, 3)
    weights = nonnegative_weights(made, missed)
    fitted = (missed - torch.einsum("k,knd->nd", weights.float(), made)).square().mean()
    assert cross_fitted_error(made, missed) > float(fitted)


def see(n: int = 60) -> View:
    images = (torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(3)) * 255).round().to(torch.uint8)
    sample = Sample(images, images.float().flatten(1) / 255)
    return View(sample, sample, kind="vector")


def errs(view: View, name: str, seed: int, share: float) -> Inverse:
    """An attack that errs by noise of its own, fixed for each Z."""
    mixing = draw(seed, 16, 16)

    def invert(z: Tensor) -> Tensor:
        return (z + share * torch.sin(9 * z @ mixing)).reshape(-1, 1, 4, 4)

    error = (invert(view.selection.features).clamp(0, 1) - view.selection.targets(slice(None))).square().mean()
    return Inverse(invert, float(error), True, transform="none", attack=name)


def test_attacks_that_err_differently_err_less_together():
    view = see()
    starts = (errs(view, "one", 1, 0.2), errs(view, "two", 2, 0.2))
    inverse = Stack().train(View(view.training, view.selection, kind="vector", starts=starts), seed=0)
    assert inverse.selection_mse < 0.75 * min(one.selection_mse for one in starts)
    assert set(inverse.settings["weights"]) == {"one", "two"}
    assert inverse.note == ""


def test_where_nothing_is_gained_the_best_answers():
    view = see()
    starts = (errs(view, "exact", 1, 0.0), errs(view, "noisy", 2, 0.2))
    inverse = Stack().train(View(view.training, view.selection, kind="vector", starts=starts), seed=0)
    assert inverse.note.startswith("the best attack alone")
    assert inverse.selection_mse == pytest.approx(0, abs=1e-12)
