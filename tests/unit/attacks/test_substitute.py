"""What attackers without queries measure and choose by: each figure against a hand-worked or naive one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from goldcut.attacks.base import Inverse, Sample, View
from goldcut.attacks.decoder import Decoder
from goldcut.attacks.shadow import start_substitute
from goldcut.attacks.substitute import beside, derive, invert_through, keep_good, see_through
from goldcut.attacks.wire import observe
from goldcut.errors import AttackError
from goldcut.fitting import Fitted
from goldcut.progress import silent


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def see(observed: Tensor | None, kind: str = "vector", n: int = 40) -> View:
    images = torch.randint(256, (n, 1, 4, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    z = torch.empty(n, *(noise(1, 6) if observed is None else observed).shape[1:], device="meta")
    return View(Sample(images, z), Sample(images[:10], z[:10]), kind=kind, observed=observed)  # type: ignore[arg-type]


def test_what_has_gone_astray_is_left_out_and_the_worst_of_the_good_comes_last():
    halves = [(nn.Identity(), Fitted(score, True, 1, (score,), 0)) for score in (3.0, 1.0, 1.9, 1.5)]
    assert keep_good(halves) == [halves[1][0], halves[3][0], halves[2][0]]
    assert keep_good(halves[:2]) == [halves[1][0], halves[0][0]]


def test_the_real_edge_and_each_substitute_are_brought_to_one_scale():
    view = see(40 + 8 * noise(200, 6))
    flat = nn.Flatten()
    halves = [nn.Sequential(flat, nn.Linear(16, 6)) for _ in range(3)]
    inner, scale = see_through(view, halves, seed=0)
    assert len(inner.training) == 2 * len(view.training)
    assert len(inner.selection) == len(view.selection)
    for z in (inner.training.features[:40], inner.training.features[40:], scale(view.observed)):  # type: ignore[arg-type]
        assert torch.allclose(z.mean(0), torch.zeros(6), atol=1e-4)
        assert torch.allclose(z.std(0), torch.ones(6), atol=0.02)
    assert torch.equal(inner.training.images[40:], view.training.images)
    assert inner.query is inner.edge is inner.observed is None


def test_where_z_is_large_each_substitute_is_shown_other_images(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("goldcut.attacks.substitute.MOST_BYTES", 4 * 6 * 30)
    inner, _ = see_through(see(noise(50, 6)), [nn.Sequential(nn.Flatten(), nn.Linear(16, 6)) for _ in range(3)], seed=0)
    assert len(inner.training) == 30
    assert not torch.equal(inner.training.images[:15], inner.training.images[15:])


@dataclass(frozen=True)
class Told(Decoder):
    """A decoder that was told what to answer, or that nothing can be learned."""

    answer: Callable[[Tensor], Tensor] | None = None

    def train(self, view: View, **options: Any) -> Inverse:
        if self.answer is None:
            raise AttackError("collapsed", "Give up.")
        return Inverse(self.answer, selection_mse=0.25, converged=True, steps=7)


def invert(view: View, decoder: Decoder) -> Inverse:
    halves = [(nn.Sequential(nn.Flatten(), nn.Linear(16, 6)), Fitted(1.0, place > 0, 5, (1.0,), 0)) for place in (0, 1)]
    return invert_through(view, halves, decoder, name="shadow", seed=0, progress=silent, checkpoint=None)


def test_what_the_edge_sends_reaches_the_decoder_at_the_scale_of_the_substitutes():
    view = see(40 + 8 * noise(200, 6))
    given: list[Tensor] = []

    def answer(z: Tensor) -> Tensor:
        given.append(z)
        return torch.zeros(len(z), 1, 4, 4)

    inverse = invert(view, Told(answer=answer))
    assert view.observed is not None
    inverse(view.observed)
    assert torch.allclose(given[0].mean(0), torch.zeros(6), atol=1e-4)
    assert torch.allclose(given[0].std(0), torch.ones(6), atol=0.02)
    assert (inverse.steps, inverse.converged, inverse.selection_mse) == (17, False, 0.25)
    assert "substitute" in inverse.note


def test_where_nothing_carries_over_the_answer_is_the_mean_image():
    view = see(noise(50, 6))
    inverse = invert(view, Told())
    assert view.observed is not None
    mean = view.training.targets(slice(None)).mean(0)
    assert torch.allclose(inverse(view.observed), mean.expand(50, -1, -1, -1), atol=1e-6)
    assert inverse.selection_mse == pytest.approx(float((view.selection.targets(slice(None)) - mean).square().mean()))
    assert not inverse.converged
    assert "does not carry over" in inverse.note


@pytest.mark.parametrize("positive", [True, False])
def test_a_substitute_starts_at_the_scale_of_z(positive: bool):
    observed = 500 * noise(100, 6) + 2000
    view = see(observed.relu() if positive else observed - 4000)
    z = start_substitute(view, observe(view), seed=0)(view.training.targets(slice(None))).detach()
    assert (float(z.min()) >= 0) == positive
    assert positive or torch.allclose(z.mean(0), view.observed.mean(0), atol=2000)  # type: ignore[union-attr]
    assert 1 < float(z.abs().max()) < 20_000


def test_parts_have_seeds_and_checkpoints_of_their_own(tmp_path):
    assert len({derive(3, 21, place) for place in range(9)} | {derive(3), derive(4)}) == 11
    assert beside(tmp_path / "003-shadow-ab.safetensors", "edge1") == tmp_path / "003-shadow-ab-edge1.safetensors"
    assert beside(None, "edge1") is None
