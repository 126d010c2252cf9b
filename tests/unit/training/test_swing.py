"""The split of Delta R_c^2: against finite differences and a per-image loop."""

import numpy as np
import pytest
import torch
from torch import nn

from goldcut.training.labels import smoothed
from goldcut.training.swing import class_radius_sq, over_classes, split_step

CLASSES, IMAGES = 4, 14
GENERATOR = torch.Generator().manual_seed(0)
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 0, 1, 2, 2, 3])
Z = torch.randn(IMAGES, 3, 4, 4, generator=GENERATOR, dtype=torch.float64)


def exactly(labels: torch.Tensor, classes: int, alpha: float) -> torch.Tensor:
    """The smoothed targets, summing to 1 in float64."""
    targets = smoothed(labels, classes, alpha).double()
    return targets / targets.sum(1, keepdim=True)


def cloud() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        body = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6, CLASSES)
        )
    return body.double().eval()


def take_step(model: nn.Module, targets: torch.Tensor, gamma: float) -> torch.Tensor:
    """z_i - gamma g_i, image by image."""
    moved = []
    for z, q in zip(Z, targets, strict=True):
        leaf = z[None].clone().requires_grad_()
        loss = -(q * model(leaf).log_softmax(1)).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
        moved.append(leaf.detach() - gamma * gradient)
    return torch.cat(moved)


@pytest.mark.parametrize("alpha", [0.0, 0.3, -0.05])
@pytest.mark.parametrize("gamma", [1e-3, 0.7, 5.0])
def test_the_terms_sum_to_the_change_of_a_step_in_z(alpha: float, gamma: float):
    model, targets = cloud(), exactly(LABELS, CLASSES, alpha)
    swing = split_step(model, Z, LABELS, targets, gamma)
    change = class_radius_sq(take_step(model, targets, gamma).flatten(1), LABELS) - class_radius_sq(
        Z.flatten(1), LABELS
    )
    assert swing.total == pytest.approx(change, rel=1e-9, abs=1e-12)


def test_first_and_second_order_by_finite_differences():
    model, targets = cloud(), exactly(LABELS, CLASSES, 0.3)

    def radius(gamma: float) -> float:
        return class_radius_sq(take_step(model, targets, gamma).flatten(1), LABELS)

    swing = split_step(model, Z, LABELS, targets, 1.0)
    slope = (radius(1e-4) - radius(-1e-4)) / 2e-4
    bend = (radius(1e-2) - 2 * radius(0.0) + radius(-1e-2)) / 1e-4 / 2
    assert swing.pull + swing.interference == pytest.approx(slope, rel=1e-6)
    assert swing.second_order == pytest.approx(bend, rel=1e-4)


def test_pull_and_interference_by_jacobians():
    model, targets, gamma = cloud(), exactly(LABELS, CLASSES, 0.3), 0.2
    pull, rest = torch.zeros(IMAGES, dtype=torch.float64), torch.zeros(IMAGES, dtype=torch.float64)
    for i in range(IMAGES):
        jacobian = torch.autograd.functional.jacobian(lambda z: model(z[None])[0], Z[i]).flatten(1)
        offset = (Z[i] - Z[LABELS[i] == LABELS].mean(0)).flatten()
        terms = (model(Z[i : i + 1])[0].softmax(0) - targets[i]).detach() * (jacobian @ offset)
        pull[i], rest[i] = terms[LABELS[i]], terms.sum() - terms[LABELS[i]]
    swing = split_step(model, Z, LABELS, targets, gamma)
    assert swing.pull == pytest.approx(-2 * gamma * over_classes(pull, LABELS))
    assert swing.interference == pytest.approx(-2 * gamma * over_classes(rest, LABELS))


def test_the_pull_changes_its_sign_where_p_passes_one_minus_alpha():
    logits = torch.tensor([[6.0, 0.0], [0.5, 0.0], [0.0, 6.0], [3.0, 0.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    assert split_step(lambda z: z, logits, labels, exactly(labels, 2, 0.3), 1.0).past_flip == 0.5
    assert split_step(lambda z: z, logits, labels, exactly(labels, 2, 0.0), 1.0).past_flip == 0
    assert split_step(lambda z: z, logits, labels, exactly(labels, 2, -0.05), 1.0).past_flip == 0


def test_the_radius_is_the_mean_over_classes_with_two_images():
    z = np.asarray(Z.flatten(1))
    by_hand = [
        np.mean(np.sum((z[c == LABELS] - z[c == LABELS].mean(0)) ** 2, 1)) for c in range(3)
    ]  # class 3 has one image
    assert class_radius_sq(Z.flatten(1), LABELS) == pytest.approx(np.mean(by_hand))
