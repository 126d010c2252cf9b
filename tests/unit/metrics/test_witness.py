"""What a user's network says of reconstructions, against the same by hand."""

import numpy as np
import pytest
import torch

from goldcut.metrics.witness import BATCH, identity_embedder, independent_classifier


def images(seed: int, n: int = BATCH + 9) -> torch.Tensor:
    return torch.rand(n, 3, 6, 6, generator=torch.Generator().manual_seed(seed))


def outputs(batch: torch.Tensor) -> torch.Tensor:
    return torch.stack([batch[:, channel].mean((1, 2)) - 0.5 for channel in range(3)], dim=1)


def test_agreement_is_the_same_largest_output() -> None:
    made, truth = images(0), images(1)
    found = independent_classifier(outputs, "").per_image(made, truth)
    by_hand = [
        float(np.argmax(one.mean((1, 2))) == np.argmax(other.mean((1, 2))))
        for one, other in zip(made.numpy(), truth.numpy(), strict=True)
    ]
    assert found.tolist() == by_hand
    assert 0.1 < np.mean(by_hand) < 0.9


def test_identity_is_the_cosine_of_the_outputs() -> None:
    made, truth = images(2), images(3)
    found = identity_embedder(outputs, "").per_image(made, truth)
    for one, other, cosine in zip(outputs(made).numpy(), outputs(truth).numpy(), found.tolist(), strict=True):
        assert cosine == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), abs=1e-6)


@pytest.mark.parametrize("call", [independent_classifier, identity_embedder])
def test_the_image_itself_is_itself(call) -> None:
    assert call(outputs, "").per_image(images(4), images(4)).numpy() == pytest.approx(1)
