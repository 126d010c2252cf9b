"""One battery for all attacks that learn an inverse: a new one is covered by its entry in ATTACKS."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from goldcut.attacks.base import Attack, Inverse, Sample, View
from goldcut.attacks.baselines import class_mean_images, nearest_images
from goldcut.attacks.decoder import Decoder
from goldcut.attacks.ensemble import Ensemble
from goldcut.attacks.paper import DECONVOLUTIONS, Deconvolution
from goldcut.attacks.stack import Stack
from goldcut.attacks.suite import ATTACKS
from goldcut.errors import AttackError
from goldcut.records import Kind

SIDE = 8
CLASSES = 4
MARGIN = 0.15
"""By how much more of the variance each attack has to recover than the mean image and the nearest image."""


def draw_images(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Smooth random fields around a pattern for each class, as uint8, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(CLASSES, 2, 3, 3, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(CLASSES, (n,), generator=generator)
    fields = functional.interpolate(
        patterns[labels] + 1.2 * torch.randn(n, 2, 3, 3, generator=generator), size=SIDE, mode="bicubic"
    )
    fine = 0.3 * torch.randn(n, 2, SIDE, SIDE, generator=generator)
    return ((0.5 + 0.15 * (fields + fine)).clamp(0, 1) * 255).round().to(torch.uint8), labels


def weights(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


def as_map(x: Tensor) -> Tensor:
    return functional.relu(functional.conv2d(x - 0.5, weights(8, 2, 3, 3), padding=1))


def as_tokens(x: Tensor) -> Tensor:
    return functional.gelu(functional.conv2d(x - 0.5, weights(24, 2, 2, 2), stride=2).flatten(2).transpose(1, 2))


def as_vector(x: Tensor) -> Tensor:
    return functional.relu((x - 0.5).flatten(1) @ weights(128, 64))


def as_logits(x: Tensor) -> Tensor:
    logits = (x - 0.5).flatten(1) @ weights(128, 6) / 2
    return logits - logits.mean(1, keepdim=True)  # softmax keeps logits up to a shift, so let none matter


def as_softmax(x: Tensor) -> Tensor:
    return as_logits(x).softmax(1)


EDGES: dict[str, tuple[object, Kind]] = {
    "map": (as_map, "map"),
    "tokens": (as_tokens, "tokens"),
    "vector": (as_vector, "vector"),
}


def see(edge: object, kind: Kind, n: int = 500) -> tuple[View, Sample]:
    """What an attacker of the edge is granted, and victims that it is not."""
    samples = []
    for count, seed in ((n, 1), (100, 2), (100, 3)):
        images, labels = draw_images(count, seed)
        samples.append(Sample(images, edge(images.float() / 255), labels.numpy()))  # type: ignore[operator]
    return View(samples[0], samples[1], kind=kind, query=edge, edge=edge), samples[2]  # type: ignore[arg-type]


def quick(attack: Attack, steps: int = 40) -> Attack:
    """The attack with few steps, where it counts them."""
    few = {"max_steps": steps, "batch": 32, "round_steps": steps // 5}
    if isinstance(attack, Deconvolution):
        return replace(attack, width=16, settings=replace(attack.settings, **few))
    if isinstance(attack, Decoder):
        return replace(attack, settings=replace(attack.settings, rate=1e-2, **few))
    if isinstance(attack, Ensemble):
        member = quick(attack.member, steps)
        assert isinstance(member, Decoder)
        return replace(attack, member=member)
    if isinstance(attack, Stack):
        return replace(attack, members=tuple(quick(one, steps) for one in attack.members))
    return attack


SPARED = {attack.name for attack in DECONVOLUTIONS} - {"deconv", "deconv-dropout-net"} | {
    "decoder-L",
    "ensemble-M",
    "ensemble-L",
}
"""Kin of attacks that are tried: they differ by a block that has tests of its own, or by their size."""

LEARNED = [
    attack
    for attack in ATTACKS.values()
    if attack.needs == "queries" and attack.victims is None and attack.name not in SPARED
]
"""The attacks that learn an inverse from pairs; those that search for each victim have batteries of their own."""


def recovered(made: Tensor, view: View, victims: Sample) -> float:
    truth = victims.targets(slice(None))
    zero = (truth - view.training.targets(slice(None)).mean(0)).square().mean()
    return float(1 - (made - truth).square().mean() / zero)


@pytest.fixture(params=LEARNED, ids=lambda one: one.name)
def attack(request: pytest.FixtureRequest) -> Attack:
    return quick(request.param)


@pytest.mark.parametrize("where", EDGES)
def test_beats_the_mean_and_the_nearest_image_at_a_leaky_cut(attack: Attack, where: str):
    view, victims = see(*EDGES[where])
    inverse = attack.train(view, seed=0)
    made = inverse(victims.features)
    reached = recovered(made, view, victims)
    assert reached > MARGIN
    assert reached > recovered(nearest_images(view.training, victims.features), view, victims) + MARGIN
    assert made.shape == victims.images.shape
    assert 0 <= made.min() <= made.max() <= 1


@pytest.mark.parametrize("kin", [one for one in DECONVOLUTIONS if one.name in SPARED], ids=lambda one: one.name)
def test_their_kin_beat_the_mean_and_the_nearest_image_too(kin: Attack):
    view, victims = see(*EDGES["map"])
    reached = recovered(quick(kin, steps=20).train(view, seed=0)(victims.features), view, victims)
    assert reached > recovered(nearest_images(view.training, victims.features), view, victims) + MARGIN


def test_the_selection_error_is_that_of_the_selection_images(attack: Attack):
    view, _ = see(*EDGES["vector"])
    inverse = attack.train(view, seed=0)
    errors = inverse(view.selection.features) - view.selection.targets(slice(None))
    assert inverse.selection_mse == pytest.approx(float(errors.square().mean()), rel=1e-4)


def test_the_seed_decides_and_nothing_global_is_touched(attack: Attack):
    attack = quick(attack, steps=10)
    view, victims = see(*EDGES["map"])
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    first, again = (attack.train(view, seed=3)(victims.features) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_what_it_was_given_stays_as_it_was(attack: Attack):
    attack = quick(attack, steps=10)
    view, _ = see(*EDGES["map"])
    before = [
        tensor.clone() for sample in (view.training, view.selection) for tensor in (sample.images, sample.features)
    ]
    attack.train(view, seed=0)
    after = [tensor for sample in (view.training, view.selection) for tensor in (sample.images, sample.features)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_scale_of_z_does_not_hide_anything(attack: Attack):
    reached = []
    for scale, shift in ((1.0, 0.0), (1e4, -3e5)):
        view, victims = see(lambda x, a=scale, b=shift: a * as_vector(x) + b, "vector")
        reached.append(recovered(attack.train(view, seed=0)(victims.features), view, victims))
    assert max(reached) - min(reached) < 0.05


def test_dark_images_do_not_end_in_black(attack: Attack):
    # Nine tenths of the pixels of a digit are black: there a sigmoid that has saturated has no slope left.
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(700, 8, generator=generator)
    strokes = (hidden @ torch.randn(8, 2 * SIDE**2, generator=generator) / 3 - 1.2).clamp(0, 1)
    images = (strokes * 255).round().to(torch.uint8).reshape(-1, 2, SIDE, SIDE)
    z = 30 * functional.relu(hidden @ torch.randn(8, 24, generator=generator))
    own, other, third = (Sample(images[rows], z[rows]) for rows in (slice(500), slice(500, 600), slice(600, 700)))
    view = View(own, other, kind="vector")
    assert recovered(attack.train(view, seed=0)(third.features), view, third) > MARGIN


def test_softmax_leaks_like_the_logits(attack: Attack):
    reached = []
    for edge in (as_logits, as_softmax):
        view, victims = see(edge, "vector", n=800)
        reached.append(recovered(attack.train(view, seed=0)(victims.features), view, victims))
    assert abs(reached[0] - reached[1]) < 0.03


def test_the_argmax_says_no_more_than_the_class_mean(attack: Attack):
    # On the true classes, so that the label is worth something.
    samples = []
    for count, seed in ((800, 1), (100, 2), (200, 3)):
        images, labels = draw_images(count, seed)
        samples.append(Sample(images, functional.one_hot(labels, CLASSES).float(), labels.numpy()))
    view, victims = View(samples[0], samples[1], kind="vector"), samples[2]
    mean = view.training.targets(slice(None)).mean(0)
    label = recovered(class_mean_images(view.training, mean, victims.labels), view, victims)
    assert label > 0.1
    assert abs(recovered(quick(attack, steps=80).train(view, seed=0)(victims.features), view, victims) - label) < 0.03


def test_it_resumes_where_it_was_interrupted(attack: Attack, tmp_path: Path):
    attack = quick(attack, steps=20)
    if isinstance(attack, Decoder | Deconvolution):
        attack = replace(attack, settings=replace(attack.settings, checkpoint_seconds=0.0))
    if isinstance(attack, Ensemble):
        settings = replace(attack.member.settings, checkpoint_seconds=0.0)
        attack = replace(attack, member=replace(attack.member, settings=settings))
    view, victims = see(*EDGES["vector"])
    expected = attack.train(view, seed=0)(victims.features)

    def interrupt(task: str, done: float, total: float) -> None:
        if done >= 0.6 * total:
            raise KeyboardInterrupt

    path = tmp_path / "attack.safetensors"
    with pytest.raises(KeyboardInterrupt):
        attack.train(view, seed=0, progress=interrupt, checkpoint=path)
    assert torch.equal(attack.train(view, seed=0, checkpoint=path)(victims.features), expected)
    if path.exists():  # what it has learned is kept: asked again, it takes no step
        steps: list[str] = []
        again = attack.train(view, seed=0, progress=lambda task, *_: steps.append(task), checkpoint=path)
        assert torch.equal(again(victims.features), expected)
        assert not [task for task in steps if task == attack.name]


def test_values_that_break_a_training_end_in_one_sentence():
    view, _ = see(lambda x: as_vector(x) * float("nan"), "vector")
    with pytest.raises(AttackError, match="diverged"):
        quick(ATTACKS["decoder-S"]).train(view, seed=0)


def test_an_inverse_works_in_batches_without_gradients():
    seen: list[int] = []

    def invert(z: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        seen.append(len(z))
        return 2 * z

    made = Inverse(invert, selection_mse=0.0, converged=True)(torch.ones(600, 1, 2, 2))
    assert sum(seen) == len(made) == 600
    assert len(seen) > 1
    assert made.max() == 1
