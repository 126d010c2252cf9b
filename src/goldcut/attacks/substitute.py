"""Substitutes for an edge half that can neither be read nor asked, and a decoder of what they have in common.

An attacker who trains one substitute and a decoder behind it learns that substitute's whims as well. So several are
trained from different weights: a decoder learns on all but the last, and is chosen on the last one, which it has
never seen, as it has never seen the real edge. Its selection error then tells how far what it learned carries over.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from goldcut.attacks.base import BATCH, Inverse, Sample, View, selection_error
from goldcut.attacks.decoder import Decoder
from goldcut.attacks.transforms import Transform, choose_transform, fit_transform
from goldcut.errors import AttackError
from goldcut.fitting import Fitted, Settings
from goldcut.progress import Progress

MOST_BYTES = 1 << 30
"""What Z of all substitutes may take (twice that while it is joined); beyond it each is shown a part of the images."""

POOR = 2.0
"""A substitute whose selection score is this many times the best one's has gone astray and is left out."""

RATES = (1e-3, 1e-2)
"""Learning rates that are tried where the structure is the edge's. The first is that of He, Zhang, Lee: Model Inversion
Attacks Against Collaborative Inference, 2019, section 6; with it a few filters find a bad arrangement and stay."""

RATE = RATES[0]
"""Rate of generated substitutes: they have filters enough, and at the other they come nearer to Z and further from
the edge."""

TRIAL = 5
"""A trial takes one of so many parts of the steps."""

NOTE = "learned and chosen on substitutes, without one answer of the edge: the selection error is that of a substitute"

NOTHING = "what is learned on one substitute does not carry over to another, so the answer is the mean image"

Halves = Sequence[tuple[nn.Module, Fitted]]


def derive(seed: int, *parts: int) -> int:
    """A seed of its own for a part of an attack."""
    return int(np.random.SeedSequence((seed, *parts)).generate_state(1)[0] >> 1)


def beside(checkpoint: Path | None, part: str) -> Path | None:
    """The checkpoint of a part of an attack."""
    return None if checkpoint is None else checkpoint.with_stem(f"{checkpoint.stem}-{part}")


def renamed(progress: Progress, task: str) -> Progress:
    """Progress under another name."""
    return lambda _, done, total: progress(task, done, total)


def train_substitutes(
    count: int,
    settings: Settings,
    rates: Sequence[float],
    learn: Callable[[int, Settings, str], tuple[nn.Module, Fitted]],
) -> tuple[Halves, float]:
    """Substitutes from different weights, all at the rate that brings the first one nearest in a short trial; the rate.

    Args:
        count: Of them.
        settings: How each is trained, up to the rate.
        rates: To choose from; of a single one there is no trial.
        learn: Trains one, from its place, its settings and a name for its checkpoint.
    """
    rate = rates[0]
    if len(rates) > 1:
        trials = [replace(settings, max_steps=max(1, settings.max_steps // TRIAL), rate=one) for one in rates]
        scores = [learn(0, trial, f"trial{turn}")[1].score for turn, trial in enumerate(trials)]
        rate = rates[int(np.argmin(scores))]
    chosen = replace(settings, rate=rate)
    return [learn(place, chosen, f"edge{place}") for place in range(count)], rate


def steps_of(count: int, settings: Settings, rates: Sequence[float]) -> int:
    """Steps that train_substitutes takes at most."""
    trials = len(rates) if len(rates) > 1 else 0
    return count * settings.max_steps + trials * max(1, settings.max_steps // TRIAL)


def keep_good(halves: Halves) -> list[nn.Module]:
    """The substitutes from the best selection score to the worst, those left out that have gone astray; at least two.

    The last one, the worst of the good, is for the selection.
    """
    ordered = sorted(halves, key=lambda half: half[1].score)
    most = POOR * max(ordered[0][1].score, 0.0)
    return [half for place, (half, fitted) in enumerate(ordered) if place < 2 or fitted.score <= most]


def invert_through(
    view: View,
    halves: Halves,
    decoder: Decoder,
    *,
    name: str,
    seed: int,
    progress: Progress,
    checkpoint: Path | None,
) -> Inverse:
    """A decoder of what the substitutes send, for what the edge sends.

    Each substitute and the real edge are brought to the same scale by the channel statistics of their own Z: their
    weights are free up to just that, where a norm or a linear layer follows, and a decoder fed at another scale than
    it learned on errs for that alone.

    Args:
        view: Of the attacker; its images and what it saw on the wire are used.
        halves: Two substitutes or more, and how they were trained.
        decoder: What is trained behind them; where nothing of what it learns carries over from substitute to
            substitute, the answer is the mean image.
        name: Of the attack.
        seed: Of the decoder and of the choice of images.
        progress: Told the steps.
        checkpoint: Of the attack.
    """
    inner, scale = see_through(view, keep_good(halves), seed=seed)
    kept = beside(checkpoint, "decoder")
    try:
        inverse = decoder.train(inner, seed=seed, progress=renamed(progress, f"{name} decoder"), checkpoint=kept)
    except AttackError:  # worse than the mean image on a substitute that it has not seen, at every rate
        inverse = _mean_image(inner)
    fits = [fitted for _, fitted in halves]
    return replace(
        inverse,
        invert=lambda z: inverse.invert(scale(z)),
        converged=inverse.converged and all(fitted.converged for fitted in fits),
        steps=inverse.steps + sum(fitted.steps for fitted in fits),
        transform=scale.name,
        settings={"decoder": dict(inverse.settings), "substitute_scores": [fitted.score for fitted in fits]},
        note="; ".join(part for part in (NOTE, inverse.note) if part),
    )


def _mean_image(view: View) -> Inverse:
    mean = view.training.images.to(view.device).float().mean(0) / 255

    def invert(z: Tensor) -> Tensor:
        return mean.expand(len(z), -1, -1, -1)

    return Inverse(invert, selection_error(view, invert), converged=False, note=NOTHING, device=view.device)


def see_through(view: View, substitutes: Sequence[nn.Module], *, seed: int) -> tuple[View, Transform]:
    """A view whose pairs come from substitutes, and what brings Z of the edge to their common scale."""
    assert view.observed is not None
    *learning, last = substitutes
    elements = int(np.prod(view.z_shape))
    most = max(1, MOST_BYTES // (4 * elements * len(learning)))
    rows = [_some(len(view.training), most, derive(seed, 22, place)) for place in range(len(learning))]
    parts = [_pair(view, view.training, half, own) for half, own in zip(learning, rows, strict=True)]
    other = _pair(view, view.selection, last, _some(len(view.selection), most, derive(seed, 23)))
    name = choose_transform(View(parts[0], other, kind=view.kind), seed=seed).name
    scale = fit_transform(name, view.observed, view.kind)
    if scale is None:  # the edge sends what the substitutes never do, such as negative values
        name, scale = "standardise", fit_transform("standardise", view.observed, view.kind)
    assert scale is not None
    parts = [_scaled(parts.pop(0), name, view) for _ in learning]  # one by one: together they may be large
    other = _scaled(other, name, view)
    training = Sample(torch.cat([part.images for part in parts]), torch.cat([part.features for part in parts]))
    return View(training, other, kind=view.kind, device=view.device), scale.to(view.device)


def _some(count: int, most: int, seed: int) -> Tensor:
    return torch.from_numpy(np.sort(np.random.default_rng(seed).permutation(count)[:most]))


def _pair(view: View, sample: Sample, half: Callable[[Tensor], Tensor], rows: Tensor) -> Sample:
    with torch.no_grad():
        z = [half(sample.targets(part, view.device)).cpu() for part in torch.split(rows, BATCH)]
    return Sample(sample.images[rows], torch.cat(z))


def _scaled(sample: Sample, name: str, view: View) -> Sample:
    scale = fit_transform(name, sample.features, view.kind) or fit_transform("standardise", sample.features, view.kind)
    assert scale is not None
    return replace(sample, features=scale(sample.features))
