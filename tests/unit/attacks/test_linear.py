"""Ridge regression against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as Reference

from goldcut.attacks.linear import LAMBDAS, fit_ridge, principal_axes


def draw(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_agrees_with_scikit_learn_and_takes_the_best_lambda():
    z, weights = draw(300, 8, 0) @ draw(8, 8, 1) + 3, draw(8, 5, 2)
    x = ((z - 3) @ weights / 10 + 2 * draw(300, 5, 3)) / 100 + 0.5
    train, other = slice(200), slice(200, 300)

    def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(z[start:stop], x[start:stop]) for start, stop in ((0, 70), (70, 140), (140, 200))]

    found, shrink, erred = fit_ridge(batches, z[other], x[other])
    seen = z[train].double().numpy()
    scale = np.trace((seen - seen.mean(0)).T @ (seen - seen.mean(0))) / 8
    errors = []
    for candidate in LAMBDAS:
        reference = Reference(alpha=candidate * scale).fit(seen, x[train].double().numpy())
        errors.append(((reference.predict(z[other].double().numpy()) - x[other].numpy()) ** 2).mean())
        if candidate == shrink:
            np.testing.assert_allclose(found(z), reference.predict(z.double().numpy()), atol=1e-5)
    assert erred == pytest.approx(min(errors), rel=1e-6)
    assert shrink == LAMBDAS[int(np.argmin(errors))]


def test_principal_axes_span_what_scikit_learn_finds():
    z = draw(60, 4, 0) @ draw(4, 200, 1) + 0.01 * draw(60, 200, 2)
    axes = principal_axes(z, 4)
    torch.testing.assert_close(axes.T @ axes, torch.eye(4), atol=1e-4, rtol=0)
    reference = torch.from_numpy(PCA(4).fit(z.double().numpy()).components_).float()
    torch.testing.assert_close(axes @ axes.T, reference.T @ reference, atol=1e-3, rtol=0)


def test_directions_without_variance_are_left_out():
    assert principal_axes(draw(50, 3, 0) @ draw(3, 30, 1), 20).shape == (30, 3)
