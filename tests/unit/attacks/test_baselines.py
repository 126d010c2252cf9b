"""Class means and nearest neighbours against plain NumPy and scikit-learn."""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from goldcut.attacks import baselines
from goldcut.attacks.base import Sample


def sample(n: int = 50) -> Sample:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 2, 3, 3), generator=generator, dtype=torch.uint8)
    return Sample(images, 40 + torch.randn(n, 4, 2, generator=generator), np.arange(n) % 3)


def test_class_means_follow_the_predicted_label_and_fall_back_on_the_mean():
    own = sample()
    mean = own.targets(slice(None)).mean(0)
    made = baselines.class_mean_images(own, mean, np.array([2, 0, 7]))
    array = own.images.numpy() / 255
    expected = [array[own.labels == 2].mean(0), array[own.labels == 0].mean(0), array.mean(0)]
    np.testing.assert_allclose(made, np.stack(expected), atol=1e-6)


def test_the_nearest_image_is_that_of_scikit_learn_in_any_chunks(monkeypatch):
    own = sample()
    z = 40 + torch.randn(20, 4, 2, generator=torch.Generator().manual_seed(1))
    found = NearestNeighbors(n_neighbors=1).fit(own.features.flatten(1)).kneighbors(z.flatten(1))[1][:, 0]
    for chunk in (7, 1024):
        monkeypatch.setattr(baselines, "_CHUNK", chunk)
        assert torch.equal(baselines.nearest_images(own, z), own.targets(torch.from_numpy(found)))
