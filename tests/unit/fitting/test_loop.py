"""The training loop: where it ends, what it keeps, and that it resumes exactly."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from goldcut.errors import AttackError
from goldcut.fitting import Fitted, Settings, batch_index, fit, gain_since, is_converged

SAMPLES = 96
QUICK = Settings(max_steps=120, batch=16, rate=0.02, weight_decay=0.0, round_steps=10, checkpoint_seconds=0.0)


def problem(dropout: float = 0.0) -> tuple[nn.Module, Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.Linear(8, 2))
        x = torch.randn(SAMPLES, 5)
    return model, x, x[:, :2] * 2 + 0.3


def train(model: nn.Module, x: Tensor, y: Tensor, settings: Settings = QUICK, **options: object) -> Fitted:
    return fit(
        model,
        lambda index, noise: functional.mse_loss(model(x[index]), y[index]),
        lambda: float(functional.mse_loss(model(x), y)),
        samples=SAMPLES,
        settings=settings,
        seed=5,
        **options,  # type: ignore[arg-type]
    )


def state(model: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


@given(st.lists(st.floats(0.01, 1.0), min_size=4, max_size=60))
def test_converged_is_a_gain_below_one_percent_in_the_last_quarter(scores: list[float]):
    cut = math.floor(len(scores) * 0.75)
    before, after = min(scores[:cut]), min(scores)
    assert is_converged(scores) == ((before - after) / before < 0.01)


def test_nothing_is_converged_before_there_is_a_quarter():
    assert not is_converged([1.0, 1.0, 1.0])
    assert gain_since([0.5], 0.75) == math.inf


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 5))
def test_an_epoch_shows_every_sample_at_most_once(samples: int, batch: int, epoch: int):
    batch = min(batch, samples)
    steps = samples // batch
    seen = torch.cat([batch_index(samples, batch, epoch * steps + step, seed=1) for step in range(steps)])
    assert len(seen) == len(set(seen.tolist())) == steps * batch
    assert 0 <= int(seen.min()) <= int(seen.max()) < samples


def test_the_best_round_is_kept_and_the_model_is_left_in_eval_mode():
    model, x, y = problem()
    fitted = train(model, x, y)
    assert fitted.score == min(fitted.scores)
    assert not model.training
    with torch.no_grad():
        assert float(functional.mse_loss(model(x), y)) == fitted.score


def test_a_worse_end_does_not_replace_the_best_round():
    model, _, _ = problem()
    scores = iter([3.0, 1.0, 2.0, 2.0, *[2.0] * 100])
    kept: list[list[Tensor]] = []

    def score() -> float:
        kept.append(state(model))
        return next(scores)

    fitted = fit(
        model,
        lambda index, noise: model(torch.ones(4, 5) * index[0]).square().mean(),
        score,
        samples=SAMPLES,
        settings=QUICK,
        seed=0,
    )
    assert fitted.score == 1.0
    assert all(torch.equal(a, b) for a, b in zip(state(model), kept[1], strict=True))


def test_it_goes_on_until_flat_and_says_when_the_cap_came_first():
    model, x, y = problem()
    long = train(model, x, y, Settings(max_steps=20000, batch=32, rate=0.02, round_steps=20))
    assert long.converged
    assert long.steps < 20000
    model, x, y = problem()
    short = train(model, x, y, Settings(max_steps=80, batch=32, rate=1e-2, round_steps=10))
    assert short.steps == 80
    assert not short.converged


def test_the_same_seed_gives_the_same_model_and_the_global_generator_stays():
    before = torch.random.get_rng_state()
    models = []
    for _ in range(2):
        model, x, y = problem(dropout=0.3)
        train(model, x, y)
        models.append(state(model))
    assert all(torch.equal(a, b) for a, b in zip(*models, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("stop", [35, 80])
@pytest.mark.parametrize("decoding", [False, True])
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path, dropout: float, stop: int, decoding: bool):
    settings = replace(QUICK, averaged=decoding, muon=decoding)
    whole, x, y = problem(dropout)
    expected = train(whole, x, y, settings)

    def interrupt(task: str, done: float, total: float) -> None:
        if done == stop:
            raise KeyboardInterrupt

    path = tmp_path / "training.safetensors"
    model, x, y = problem(dropout)
    with pytest.raises(KeyboardInterrupt):
        train(model, x, y, settings, progress=interrupt, checkpoint=path)
    assert path.exists()
    model, x, y = problem(dropout)
    steps: list[float] = []
    resumed = train(model, x, y, settings, progress=lambda task, done, total: steps.append(done), checkpoint=path)
    assert steps[0] == stop // 10 * 10 + (1 if stop % 10 else -9)
    assert resumed == expected
    assert all(torch.equal(a, b) for a, b in zip(state(model), state(whole), strict=True))
    model, x, y = problem(dropout)
    steps.clear()
    assert (
        train(model, x, y, settings, progress=lambda task, done, total: steps.append(done), checkpoint=path) == expected
    )
    assert not steps
    assert all(torch.equal(a, b) for a, b in zip(state(model), state(whole), strict=True))


def test_averaged_weights_are_scored_and_kept_and_training_goes_on_beside_them():
    settings = Settings(max_steps=40, batch=16, rate=0.02, round_steps=20, reductions=0, averaged=True)
    passed: list[list[Tensor]] = []
    model, x, y = problem()
    fitted = train(model, x, y, settings, between=lambda step: passed.append([w.clone() for w in model.parameters()]))
    plain, _, _ = problem()
    raw: list[list[Tensor]] = []
    train(
        plain,
        x,
        y,
        replace(settings, averaged=False),
        between=lambda step: raw.append([w.clone() for w in plain.parameters()]),
    )
    assert all(torch.equal(a, b) for a, b in zip(passed[-1], raw[-1], strict=True))
    steps = 20 * (1 + fitted.scores.index(fitted.score))
    # Written out: the weights of step t count 10 / t, and what was before counts the rest.
    shares = [min(1.0, 10 / t) for t in range(1, steps + 1)]
    counts = [share * math.prod(1 - later for later in shares[place + 1 :]) for place, share in enumerate(shares)]
    assert sum(counts) == pytest.approx(1)
    for place, kept in enumerate(model.parameters()):
        mean = sum(count * weights[place].double() for count, weights in zip(counts, raw[1:], strict=False))
        assert torch.allclose(kept.double(), mean, atol=1e-6)  # type: ignore[arg-type]


def test_an_average_is_steadier_than_the_steps_that_it_is_made_of():
    x = torch.linspace(-1, 1, 64)[:, None]
    y = 3 * x + torch.randn(64, 1, generator=torch.Generator().manual_seed(0))
    deviations = {}
    for averaged in (False, True):
        model = nn.Linear(1, 1, bias=False)
        seen: list[float] = []

        def loss(index: Tensor, noise: Tensor, model: nn.Module = model) -> Tensor:
            return functional.mse_loss(model(x[index]), y[index])

        def score(model: nn.Linear = model, seen: list[float] = seen) -> float:
            seen.append(model.weight.item())
            return 1 / len(seen)  # falls, so that every step is taken

        settings = Settings(max_steps=1500, batch=4, rate=0.1, round_steps=30, reductions=0, averaged=averaged)
        fit(model, loss, score, samples=64, settings=settings, seed=0)
        deviations[averaged] = np.std(seen[-20:])
    assert deviations[True] < deviations[False] / 3


def test_a_checkpoint_of_other_settings_or_a_damaged_one_is_not_used(tmp_path: Path):
    path = tmp_path / "training.safetensors"
    path.write_bytes(b"\x00" * 40)
    model, x, y = problem()
    steps: list[float] = []
    train(model, x, y, progress=lambda task, done, total: steps.append(done), checkpoint=path)
    assert steps[0] == 1


def test_a_loss_that_is_not_finite_starts_anew_at_a_lower_rate_and_then_fails():
    model, x, y = problem()
    calls = 0

    def once_broken(index: Tensor, noise: torch.Generator) -> Tensor:
        nonlocal calls
        calls += 1
        return functional.mse_loss(model(x[index]), y[index]) * (float("nan") if calls == 15 else 1.0)

    options = {"samples": SAMPLES, "settings": QUICK, "seed": 0}
    fitted = fit(model, once_broken, lambda: float(functional.mse_loss(model(x), y)), **options)  # type: ignore[arg-type]
    assert fitted.restarts == 1
    assert all(torch.isfinite(tensor).all() for tensor in state(model))
    with pytest.raises(AttackError, match=r"diverged or collapsed 3 times, last at rate 1\.8e-03"):
        fit(model, lambda index, noise: model(x[index]).mean() * float("inf"), lambda: 0.0, **options)  # type: ignore[arg-type]


def test_a_training_that_ends_above_the_ceiling_starts_anew_and_then_fails():
    model, x, y = problem()
    options = {"samples": SAMPLES, "settings": QUICK, "seed": 0}
    scores = iter([9.0] * 5 + [1.0] * 200)
    fitted = fit(
        model,
        lambda index, noise: functional.mse_loss(model(x[index]), y[index]),
        lambda: next(scores),
        ceiling=2.0,
        **options,  # type: ignore[arg-type]
    )
    assert fitted.restarts == 1
    assert fitted.score == 1.0
    with pytest.raises(AttackError, match="collapsed 3 times"):
        fit(model, lambda index, noise: model(x[index]).mean(), lambda: 9.0, ceiling=2.0, **options)  # type: ignore[arg-type]


def test_a_lower_rate_goes_on_from_the_best_state():
    model, _, _ = problem()
    scores = iter([1.0] + [2.0] * 300)
    kept: list[list[Tensor]] = []

    def score() -> float:
        kept.append(state(model))
        return next(scores)

    settings = Settings(max_steps=60, batch=16, rate=1e-3, weight_decay=0.0, round_steps=1, factor=1e-9, reductions=3)
    fit(
        model, lambda index, noise: model(torch.ones(4, 5)).square().mean(), score, samples=9, settings=settings, seed=0
    )
    weights = [tensors[0] for tensors in kept]
    assert not torch.allclose(weights[3], weights[0], atol=1e-6)
    assert torch.allclose(weights[-1], weights[0], atol=1e-6)


def falling(share: float) -> float:
    return 1 - share


def test_with_a_schedule_every_step_is_taken_at_its_rate():
    model, x, y = problem()
    settings = Settings(max_steps=25, batch=16, rate=1e-30, weight_decay=0.0, round_steps=10)
    stood: list[int] = []
    fitted = train(model, x, y, settings, schedule=falling, between=stood.append)
    assert stood == list(range(26))
    assert fitted.steps == 25
    assert len(fitted.scores) == 3
    reference, x, y = problem()
    rates = []
    optimiser = torch.optim.AdamW(
        reference.parameters(), lr=1.0, fused=True
    )  # a bias before a norm has no gradient but noise
    for step in range(3):
        optimiser.param_groups[0]["lr"] = 0.02 * falling(step / 3)
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.zero_grad()
        functional.mse_loss(
            reference(x[batch_index(SAMPLES, 16, step, 5)]), y[batch_index(SAMPLES, 16, step, 5)]
        ).backward()
        optimiser.step()
    model, x, y = problem()
    train(model, x, y, Settings(max_steps=3, batch=16, rate=0.02, weight_decay=1e-2, round_steps=3), schedule=falling)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("stop", [1, 35, 40, 47])
def test_a_scheduled_training_resumes_inside_a_round(tmp_path: Path, dropout: float, stop: int):
    settings = Settings(max_steps=47, batch=16, rate=0.02, weight_decay=0.0, round_steps=10, checkpoint_seconds=0.0)
    whole, x, y = problem(dropout)
    expected = train(whole, x, y, settings, schedule=falling)

    def interrupt(task: str, done: float, total: float) -> None:
        if done == stop:
            raise KeyboardInterrupt

    path = tmp_path / "training.safetensors"
    model, x, y = problem(dropout)
    with pytest.raises(KeyboardInterrupt):
        train(model, x, y, settings, schedule=falling, progress=interrupt, checkpoint=path)
    model, x, y = problem(dropout)
    stood: list[int] = []
    resumed = train(model, x, y, settings, schedule=falling, checkpoint=path, between=stood.append)
    assert stood[0] == {1: 1, 35: 35, 40: 39, 47: 46}[stop]
    assert resumed == expected
    assert all(torch.equal(a, b) for a, b in zip(state(model), state(whole), strict=True))


def test_moments_lie_in_memory_as_their_weights_do(tmp_path: Path):
    def fresh() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, 3))
            return layers.to(memory_format=torch.channels_last)

    x = torch.rand(64, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    y = x.mean((1, 2, 3))[:, None, None, None]

    def learn(model: nn.Module, **options: object) -> Fitted:
        return fit(
            model,
            lambda index, _: (model(x[index]) - y[index]).square().mean(),
            lambda: float((model(x) - y).square().mean()),
            samples=len(x),
            settings=Settings(max_steps=40, batch=16, round_steps=10, checkpoint_seconds=0.0),
            seed=0,
            **options,
        )

    def interrupt(task: str, done: float, total: float) -> None:
        if done == 25:
            raise KeyboardInterrupt

    whole, resumed = fresh(), fresh()
    expected = learn(whole)
    with pytest.raises(KeyboardInterrupt):
        learn(resumed, progress=interrupt, checkpoint=tmp_path / "training.safetensors")
    assert learn(resumed, checkpoint=tmp_path / "training.safetensors") == expected
    assert all(torch.equal(a, b) for a, b in zip(state(resumed), state(whole), strict=True))
