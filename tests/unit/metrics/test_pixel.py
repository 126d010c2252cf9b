"""Errors per element against NumPy."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from goldcut.metrics.pixel import PSNR_LIMIT, mse_per_image, psnr


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
