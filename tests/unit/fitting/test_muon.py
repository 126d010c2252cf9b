"""Orthogonalised momentum: against the singular value decomposition, a slow definition, and what it is for."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from goldcut.fitting.muon import MOMENTUM, RMS, Muon, orthogonalise


def layers(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(4, 8), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8, 4))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_all_singular_values_come_near_one_and_the_directions_stay(rows: int, columns: int, seed: int):
    matrix = torch.randn(2, rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.mT @ orthogonalise(matrix) @ right.mT
    diagonal = torch.diagonal(turned, dim1=1, dim2=2)
    assert torch.allclose(turned, torch.diag_embed(diagonal), atol=1e-6)
    large = values / values.square().sum(1, keepdim=True).sqrt() > 0.02
    assert ((diagonal > 0.6) & (diagonal < 1.3))[large].all()


def test_what_is_zero_stays_zero_and_the_size_does_not_matter():
    matrix = torch.randn(1, 5, 9, generator=torch.Generator().manual_seed(1))
    assert orthogonalise(torch.zeros(1, 4, 7)).eq(0).all()
    assert torch.allclose(orthogonalise(1e-20 * matrix), orthogonalise(1e6 * matrix), atol=1e-5)


def gradients(model: nn.Module, turn: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(turn)
    return [torch.randn(weight.shape, generator=generator) for weight in model.parameters()]


def test_a_step_is_what_the_definition_says():
    """Matrix by matrix, and AdamW as PyTorch has it for the rest."""
    model, plain = layers(), layers()
    muon = Muon(model, rate=0.01, weight_decay=0.1)
    names = [name for name, weight in plain.named_parameters() if weight.ndim == 1]
    adam = torch.optim.AdamW([plain.get_parameter(name) for name in names], lr=0.01, weight_decay=0.1)
    expected = {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.ndim > 1}
    momentum = {name: torch.zeros_like(weight) for name, weight in expected.items()}
    for turn in range(3):
        for (name, weight), twin, gradient in zip(
            model.named_parameters(), plain.parameters(), gradients(model, turn), strict=True
        ):
            weight.grad, twin.grad = gradient.clone(), gradient.clone()
            if weight.ndim > 1:
                momentum[name] = MOMENTUM * momentum[name] + (1 - MOMENTUM) * gradient
                push = (MOMENTUM * momentum[name] + (1 - MOMENTUM) * gradient).reshape(len(gradient), -1)
                way = orthogonalise(push[None])[0].reshape(gradient.shape)
                size = 0.01 * RMS * max(push.shape) ** 0.5
                expected[name] = expected[name] * (1 - 0.01 * 0.1) - size * way
        muon.step()
        adam.step()
    for name, weight in model.named_parameters():
        assert torch.allclose(weight, expected[name] if weight.ndim > 1 else plain.get_parameter(name), atol=1e-6)


def test_it_gets_further_than_adamw_where_inputs_are_correlated():
    """A linear map, each optimiser at the better of two rates: there a rate per weight is of no help."""
    chance = torch.Generator().manual_seed(2)
    turn, _ = torch.linalg.qr(torch.randn(32, 32, generator=chance))
    x = torch.randn(512, 32, generator=chance) * torch.logspace(0, -1.5, 32) @ turn
    y = x @ torch.randn(32, 32, generator=chance)

    def error(build: Callable[[nn.Module, float], torch.optim.Optimizer], rate: float) -> float:
        with torch.random.fork_rng():
            torch.manual_seed(4)
            model = nn.Linear(32, 32)
        optimiser = build(model, rate)
        for _ in range(200):
            loss = functional.mse_loss(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return float(loss.detach())

    def muon(model: nn.Module, rate: float) -> Muon:
        return Muon(model, rate=rate, weight_decay=0.0)

    def adamw(model: nn.Module, rate: float) -> torch.optim.AdamW:
        return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)

    best, other = (min(error(build, rate) for rate in (0.03, 0.1)) for build in (muon, adamw))
    assert best < 0.5 * other


@pytest.mark.parametrize("frozen", [0, 2])
def test_frozen_layers_stay(frozen: int):
    model = layers()
    model[frozen].requires_grad_(False)
    kept = model[frozen].weight.clone()
    muon = Muon(model, rate=0.1, weight_decay=0.1)
    model(torch.ones(2, 3, 5, 5)).square().mean().backward()
    muon.step()
    assert torch.equal(model[frozen].weight, kept)
