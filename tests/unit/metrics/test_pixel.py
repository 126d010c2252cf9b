"""Errors per element against NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from goldcut.metrics.pixel import PSNR_LIMIT, cosine_per_image, mse_per_image, psnr, psnr_per_image_mean


def test_mse_per_image_is_the_mean_over_all_elements():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 5, 3, 7, 6), dtype=np.float32)
    expected = ((first.astype(np.float64) - second) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(mse_per_image(torch.from_numpy(first), torch.from_numpy(second)), expected, rtol=1e-12)


def test_psnr_agrees_with_scikit_image_on_one_image():
    rng = np.random.default_rng(1)
    first, second = rng.random((2, 1, 3, 9, 9))
    mse = float(mse_per_image(torch.from_numpy(first), torch.from_numpy(second)))
    assert abs(psnr(mse) - peak_signal_noise_ratio(first, second, data_range=1.0)) < 1e-9


@given(st.floats(0, 1), st.floats(0, 1))
def test_psnr_falls_with_the_error_and_is_bounded(first: float, second: float):
    low, high = sorted((first, second))
    assert 0 <= psnr(high) <= psnr(low) <= PSNR_LIMIT


def test_the_mean_of_the_decibels_is_that_of_scikit_image_and_never_below_those_of_the_mean():
    rng = np.random.default_rng(2)
    first, second = rng.random((2, 6, 3, 9, 9))
    second = first + (second - first) * rng.random((6, 1, 1, 1))
    mse = mse_per_image(torch.from_numpy(first), torch.from_numpy(second))
    each = [peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in zip(first, second, strict=True)]
    assert psnr_per_image_mean(mse) == pytest.approx(np.mean(each))
    assert psnr_per_image_mean(mse) > psnr(float(mse.mean()))


def test_the_cosine_is_the_correlation_of_the_pixels():
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 5, 3, 7, 6))
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)]
    pair = torch.from_numpy(first), torch.from_numpy(second)
    np.testing.assert_allclose(cosine_per_image(*pair), expected, atol=1e-12)
    np.testing.assert_allclose(cosine_per_image(pair[0], 0.2 + 0.3 * pair[0]), 1.0, atol=1e-12)
    assert cosine_per_image(pair[0], torch.full_like(pair[0], 0.5)).abs().max() < 1e-6
