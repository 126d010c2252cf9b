"""Structural similarity against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from goldcut.metrics.structure import WINDOW, ssim_per_image, ssim_window


@pytest.mark.parametrize("size", [(32, 32), (28, 20), (11, 11), (9, 12), (8, 8), (5, 5), (3, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_agrees_with_scikit_image(size: tuple[int, int], channels: int):
    rng = np.random.default_rng(0)
    truth = rng.random((3, channels, *size))
    made = np.clip(truth + 0.2 * rng.standard_normal(truth.shape), 0, 1)
    sigma = 1.5 * ssim_window(*size) / WINDOW
    expected = [
        structural_similarity(
            a, b, data_range=1.0, channel_axis=0, gaussian_weights=True, sigma=sigma, use_sample_covariance=False
        )
        for a, b in zip(truth, made, strict=True)
    ]
    values = ssim_per_image(torch.from_numpy(made), torch.from_numpy(truth))
    assert values is not None
    np.testing.assert_allclose(values, expected, atol=2e-5)


def test_identical_images_are_fully_similar_and_tiny_ones_have_no_structure():
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    values = ssim_per_image(images, images)
    assert values is not None
    torch.testing.assert_close(values, torch.ones(2, dtype=torch.float64))
    assert ssim_per_image(images[..., :2], images[..., :2]) is None
