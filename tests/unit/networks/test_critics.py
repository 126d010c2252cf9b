"""Critics of Z for every shape, with the second derivatives that a gradient penalty takes."""

import pytest
import torch

from goldcut.networks.critics import build_critic
from goldcut.records import Kind

SHAPES: list[tuple[tuple[int, ...], Kind]] = [
    ((6, 14, 9), "map"),
    ((6, 1, 1), "map"),
    ((12,), "vector"),
    ((5, 12), "tokens"),
]


@pytest.mark.parametrize(("z_shape", "kind"), SHAPES, ids=repr)
def test_judges_each_sample_alone_and_can_be_penalised(z_shape: tuple[int, ...], kind: Kind):
    critic = build_critic(z_shape, kind, seed=0)
    z = torch.randn(3, *z_shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    judged = critic(z)
    assert judged.shape == (3, 1)
    assert torch.allclose(critic(z[1:2]), judged[1:2], atol=1e-6)
    (slope,) = torch.autograd.grad(judged.sum(), z, create_graph=True)
    slope.square().sum().backward()
    assert all(weight.grad is not None for name, weight in critic.named_parameters() if name.endswith("weight"))


def test_the_seed_decides_and_the_global_generator_stays():
    before = torch.random.get_rng_state()
    z = torch.ones(1, 12)
    first, again, other = (build_critic((12,), "vector", seed=seed)(z) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
