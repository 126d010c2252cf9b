"""A tiny problem: four classes of striped images that a small network learns in a few steps."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from goldcut.cuts import CutGraph, find_cuts
from goldcut.sources.images import Images, from_arrays
from goldcut.sources.models import Target, adopt_model

SHAPE = (1, 8, 8)


def stripes(n: int, seed: int) -> Images:
    """Images whose class is the number of stripes."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    rows = np.sin(np.arange(8) * (labels[:, None] + 1) * 0.8)[:, :, None]
    x = np.clip(120 + 90 * rows + generator.normal(0, 20, (n, 8, 8)), 0, 255).astype(np.uint8)
    return from_arrays(x, labels)


def network() -> nn.Module:
    """Two convolutions with batch norm, an in-place ReLU, a head."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 4),
        )


@dataclass(frozen=True)
class Small:
    """What the tests train."""

    target: Target
    graph: CutGraph
    training: Images
    selection: Images


@pytest.fixture(scope="session")
def traced() -> tuple[Small, dict[str, torch.Tensor]]:
    """The problem, traced once, and the weights that every test starts from."""
    target = adopt_model(network(), SHAPE)
    start = {name: tensor.clone() for name, tensor in target.model.state_dict().items()}
    return Small(target, find_cuts(target.model, SHAPE), stripes(96, 0), stripes(40, 1)), start


@pytest.fixture
def small(traced) -> Small:
    """The problem with its first weights, in eval mode."""
    problem, start = traced
    problem.target.model.load_state_dict(start)
    problem.target.model.eval().zero_grad(set_to_none=True)
    return problem
