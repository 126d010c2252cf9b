"""A small model and images on disk, and the command line as a person would call it."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from goldcut.cli import main

sys.path.insert(0, str(Path(__file__).parents[2]))  # the benchmarks start the same servers

MODEL = """
import torch
from torch import nn


def build(num_classes=3):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes),
    )


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 8, 3, 2, 1)
        self.fc = nn.Linear(512, 3)

    def forward(self, x):
        z = torch.relu(self.conv(x))
        return self.fc((z + 0.4 * torch.randn_like(z)).flatten(1))


class Choice(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(256, 3)

    def forward(self, x):
        if x.mean() > 0.5:
            return self.fc(x.flatten(1))
        return self.fc(-x.flatten(1))


def detector():
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
"""


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code and its two streams."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    """A folder with model.py and images.npz: 700 smooth 16 x 16 images of three classes."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "model.py").write_text(MODEL)
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 700)
    rows, columns = np.mgrid[0:16, 0:16] / 16
    phase = generator.uniform(0, 6, (700, 1, 1))
    waves = np.sin((labels[:, None, None] + 1) * 4 * rows + phase) + np.cos(5 * columns - 2 * phase)
    x = ((waves - waves.min()) / np.ptp(waves) * 255).astype(np.uint8)
    np.savez(folder / "images.npz", x_train=x[:400], y_train=labels[:400], x_test=x[400:], y_test=labels[400:])
    np.savez(folder / "other.npz", x=255 - x[::-1], y=labels)
    return folder


@pytest.fixture
def goldcut(files, monkeypatch, capsys):
    """Run a command in the folder of the files."""
    monkeypatch.chdir(files)

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["goldcut", *arguments])
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture
def one_thread():
    """Compute with one thread here, as others do that the result is compared with: sums of floats depend on it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
