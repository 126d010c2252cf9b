"""How far from being distributed as what was seen: against hand-worked figures, an assignment, and a closed form."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from goldcut.attacks.base import Sample, View
from goldcut.attacks.wire import PATCHES, observe, sliced_distance
from goldcut.errors import AttackError


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def see(observed: Tensor | None, kind: str = "vector") -> View:
    images = torch.zeros(8, 1, 4, 4, dtype=torch.uint8)
    z = torch.empty(8, *(noise(1, 6) if observed is None else observed).shape[1:], device="meta")
    return View(Sample(images, z), Sample(images, z), kind=kind, observed=observed)  # type: ignore[arg-type]


def test_moments_are_relative_to_the_variance_and_zero_for_the_same_images():
    z = torch.tensor([[0.0, 2.0], [2.0, 2.0]])
    wire = observe(see(z))
    assert torch.equal(wire.mean, torch.tensor([1.0, 2.0]))
    assert torch.equal(wire.std, torch.tensor([1.0, 0.0]))
    assert wire.moments(z) == 0
    # Means differ by (1, 0) and deviations by (0, 1): a mean square of 1/2 each, over a mean variance of 1/2.
    assert wire.moments(torch.tensor([[1.0, 1.0], [3.0, 3.0]])) == pytest.approx(2.0)
    scaled = observe(see(1000 * z)).moments(1000 * torch.tensor([[1.0, 1.0], [3.0, 3.0]]))
    assert scaled == pytest.approx(2.0)
    assert observe(see(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))).moments(torch.zeros(3, 2)) == pytest.approx(1.0)


def test_without_z_on_the_wire_there_is_nothing_to_match():
    with pytest.raises(AttackError, match="no Z was seen"):
        observe(see(None))


def test_of_single_numbers_it_is_the_cheapest_assignment():
    made, real = noise(40, 1, 1, 1), 3 * noise(40, 1, 1, 1, seed=1) + 0.5
    costs = np.square(made.flatten()[:, None].numpy() - real.flatten()[None].numpy())
    expected = costs[linear_sum_assignment(costs)].mean()
    assert float(sliced_distance(made, real, chance())) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(50, 12, 1, 1), (8, 4, 9, 9)])
def test_a_shift_costs_its_mean_square_along_a_direction(shape: tuple[int, ...]):
    """Of patches of d elements all moved by m: |m|^2 / d, the mean of (direction . m)^2 over the sphere."""
    real = noise(*shape)
    found = [float(sliced_distance(real + 0.7, real, chance(seed))) for seed in range(20)]
    assert np.mean(found) == pytest.approx(0.49, rel=0.1)


def test_the_order_of_the_images_does_not_count_and_what_lies_side_by_side_does():
    """Flat images against pixels that know nothing of each other: every pixel alone is distributed alike."""
    flat, other = (noise(400, 1, 1, 1, seed=seed).expand(400, 1, 5, 5) for seed in (0, 1))
    assert PATCHES >= 400 * 3 * 3
    assert float(sliced_distance(flat.flip(0), flat, chance())) < 1e-10
    # Along a direction a flat image is its value times the sum of nine numbers, which is normal about as a pixel is:
    # the deviations differ by | |g| - 1 | for a normal g, the mean square of which is 2 - 2 * sqrt(2 / pi).
    found = [float(sliced_distance(noise(400, 1, 5, 5, seed=2), flat, chance(seed))) for seed in range(20)]
    assert np.mean(found) == pytest.approx(2 - 2 * np.sqrt(2 / np.pi), rel=0.15)
    assert np.mean(found) > 10 * float(sliced_distance(other, flat, chance()))


@pytest.mark.parametrize(
    ("shape", "kind"), [((5, 7, 40, 33), "map"), ((5, 7, 1, 2), "map"), ((5, 9, 6), "tokens"), ((5, 6), "vector")]
)
def test_any_shape_has_a_distance_with_a_gradient(shape: tuple[int, ...], kind: str):
    wire = observe(see(20 * noise(30, *shape[1:]) + 100, kind))
    z = (20 * noise(*shape, seed=1) + 100).requires_grad_()
    near = wire.distance(z, chance())
    near.backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert 0 < float(z.grad.abs().sum()) < float("inf")
    assert near < wire.distance(2 * z, chance())
    assert torch.equal(near, wire.distance(z, chance()))
