"""The generator: shapes by the decoder's rule, and a bound that is the sum of its parts."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from goldcut.networks.decoders import Size
from goldcut.networks.generator import ROUNDING, build_generator

SMALL = Size(width=8, blocks=1, layers=1)


@pytest.mark.parametrize("image_shape", [(3, 32, 32), (1, 28, 28), (2, 8, 8), (4, 20, 33)], ids=repr)
def test_images_go_in_and_come_out_at_every_size(image_shape: tuple[int, int, int]):
    generator = build_generator(image_shape, 16, SMALL, seed=0)
    nn.init.normal_(generator.decoder.trunk.paint.weight, std=0.05, generator=torch.Generator().manual_seed(1))
    images = torch.rand(3, *image_shape, generator=torch.Generator().manual_seed(0))
    mean, log_variance = generator.encode(images)
    assert mean.shape == log_variance.shape == (3, 16)
    made = generator(mean)
    assert made.shape == images.shape
    assert ((made > 0) & (made < 1)).all()
    generator.loss(images, torch.Generator().manual_seed(0)).backward()
    assert all(weight.grad is not None for weight in generator.parameters())


def test_the_seed_draws_the_weights_and_nothing_global_is_touched():
    before = torch.random.get_rng_state()
    first, again, other = (build_generator((1, 8, 8), 4, SMALL, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_loss_is_the_error_in_nats_and_the_divergence_from_the_prior():
    generator = build_generator((1, 8, 8), 4, SMALL, seed=0)
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, log_variance = generator.encode(images)
    posterior = Normal(mean, (log_variance / 2).exp())
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    drawn = torch.randn(5, 4, generator=torch.Generator().manual_seed(3))
    variance = (generator(posterior.mean + posterior.stddev * drawn) - images).square().mean() + ROUNDING
    # A normal density at the variance that explains the errors best: its exponent is one half of the elements.
    nats = 32 * variance.log()
    loss = generator.loss(images, torch.Generator().manual_seed(3))
    torch.testing.assert_close(loss, nats + divergence)
