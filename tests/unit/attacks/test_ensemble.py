"""The mean of several seeds."""

from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from goldcut.attacks.base import Inverse, Sample, View
from goldcut.attacks.decoder import Decoder
from goldcut.attacks.ensemble import Ensemble, mean_of
from goldcut.progress import Progress, silent


@settings(deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 5))
def test_the_mean_errs_less_than_the_members_by_how_far_they_lie_apart(seed: int, count: int):
    # Krogh, Vedelsby 1995, equation 6: error of the mean = mean error - mean squared distance to the mean.
    noise = torch.Generator().manual_seed(seed)
    truth = torch.rand(6, 1, 4, 4, generator=noise)
    made = [torch.rand(6, 1, 4, 4, generator=noise) for _ in range(count)]
    mean = mean_of([Inverse(lambda z, one=one: one, 0.0, True) for one in made])(truth)
    errors = torch.stack([(one - truth).square().mean() for one in made])
    apart = torch.stack([(one - mean).square().mean() for one in made])
    assert torch.isclose((mean - truth).square().mean(), errors.mean() - apart.mean(), atol=1e-6)


class Canned(Decoder):
    """A decoder that has learned one grey level, another one each time."""

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        level = LEVELS.pop(0)
        error = float((view.selection.targets(slice(None)) - level).square().mean())
        return Inverse(lambda z: torch.full((len(z), 1, 2, 2), level), error, True, steps=5)


LEVELS: list[float] = []


def canned(levels: list[float]) -> Inverse:
    LEVELS[:] = levels
    images = torch.full((4, 1, 2, 2), 128, dtype=torch.uint8)
    sample = Sample(images, torch.zeros(4, 3))
    return Ensemble(Canned(), count=len(levels)).train(View(sample, sample, kind="vector"), seed=0)


def test_the_best_seed_answers_where_the_mean_is_worse():
    inverse = canned([0.5, 0.9, 1.0])
    assert torch.allclose(inverse(torch.zeros(1, 3)), torch.tensor(0.5))
    assert "best seed" in inverse.note
    assert len(inverse.settings["seeds_selection_mse"]) == 3


def test_else_the_mean_answers_and_steps_add_up():
    inverse = canned([0.4, 0.5, 0.6])
    assert torch.allclose(inverse(torch.zeros(1, 3)), torch.tensor(0.5))
    assert inverse.note.startswith("the best seed")
    inverse = canned([0.4, 0.6])
    assert torch.allclose(inverse(torch.zeros(1, 3)), torch.tensor(0.5))
    assert (inverse.note, inverse.steps) == ("", 10)
