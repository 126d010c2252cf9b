"""The searches in the latent space of a generator, on edges that leak."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from goldcut.attacks.base import Sample
from goldcut.attacks.baselines import nearest_images
from goldcut.attacks.evolution import LatentQuery
from goldcut.attacks.latent import Latent, LatentSearch
from goldcut.attacks.objective import RANDOM
from goldcut.attacks.prior import Prior, rebuilding_error
from goldcut.attacks.ridge import Ridge
from goldcut.attacks.shelf import Shelf
from goldcut.errors import AttackError, MissingExtra
from goldcut.fitting import Settings
from goldcut.networks.generator import ImageVAE

from .test_attacks import EDGES, MARGIN, as_vector, recovered, see

PRIOR = Prior(latent=16, size="XS", settings=Settings(max_steps=240, batch=32, rate=3e-3, round_steps=60))
QUICK: dict[str, LatentSearch] = {
    "latent": Latent(PRIOR, steps=30, count=8, chosen_on=4),
    "latent-query": LatentQuery(PRIOR, steps=20, count=8, chosen_on=2),
}


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    """The generator of the toy images is the same behind every edge, as it is in an audit."""
    return Shelf()


@pytest.fixture(scope="module")
def generator(shelf: Shelf) -> ImageVAE:
    return PRIOR.take(replace(see(*EDGES["vector"])[0], shelf=shelf))


@pytest.fixture(params=QUICK)
def attack(request: pytest.FixtureRequest) -> LatentSearch:
    return QUICK[request.param]


def first(victims: Sample, count: int) -> Sample:
    return Sample(victims.images[:count], victims.features[:count])


@pytest.mark.parametrize(("name", "where"), [*(("latent", where) for where in EDGES), ("latent-query", "map")])
def test_beats_the_mean_and_the_nearest_image_at_a_leaky_cut(name: str, where: str, shelf: Shelf, generator: ImageVAE):
    attack = QUICK[name]
    view, victims = see(*EDGES[where])
    victims = first(victims, attack.victims)
    made = attack.train(replace(view, shelf=shelf), seed=0)(victims.features)
    reached = recovered(made, view, victims)
    assert made.shape == victims.images.shape
    assert 0 <= made.min() <= made.max() <= 1
    assert reached > recovered(nearest_images(view.training, victims.features), view, victims) + MARGIN / 3
    assert reached > 2 * MARGIN


def test_finds_images_that_the_generator_made(attack: LatentSearch, shelf: Shelf, generator: ImageVAE):
    view, _ = see(*EDGES["vector"])
    images = generator(torch.randn(8, PRIOR.latent, generator=torch.Generator().manual_seed(5)))
    made = replace(attack, steps=60).train(replace(view, shelf=shelf), seed=0)(as_vector(images))
    share = float((made - images).square().mean() / (images - images.mean(0)).square().mean())
    assert share < 0.1


def test_evolution_gains_on_the_best_random_start(shelf: Shelf, generator: ImageVAE):
    view, _ = see(*EDGES["vector"])
    noise = torch.Generator().manual_seed(6)
    images, bank = (generator(torch.randn(n, PRIOR.latent, generator=noise)) for n in (8, RANDOM))
    z = as_vector(images)
    chance = bank[torch.cdist(z, as_vector(bank)).argmin(1)]
    made = QUICK["latent-query"].train(replace(view, shelf=shelf), seed=0)(z)
    assert (made - images).square().mean() < 0.5 * (chance - images).square().mean()


def test_a_finished_attack_is_a_start(shelf: Shelf, generator: ImageVAE):
    view, victims = see(*EDGES["map"])
    view, victims = replace(view, shelf=shelf), first(victims, 16)
    started = replace(view, starts=(Ridge().train(view, seed=0),))
    barely = replace(QUICK["latent"], steps=1)
    cold, warm = (recovered(barely.train(one, seed=0)(victims.features), view, victims) for one in (view, started))
    assert warm > cold + 0.02


def test_the_seed_decides_and_the_generator_is_made_once(attack: LatentSearch, shelf: Shelf, generator: ImageVAE):
    view, victims = see(*EDGES["vector"])
    view, attack = replace(view, shelf=shelf), replace(attack, steps=3, chosen_on=2)
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    once, again = (attack.train(view, seed=3)(victims.features[:4]) for _ in range(2))
    alone = attack.train(view, seed=3)(victims.features[:1])
    assert torch.equal(once, again)
    torch.testing.assert_close(alone, once[:1], atol=1e-3, rtol=0)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert PRIOR.take(view) is generator


def test_the_generator_learns_and_keeps_what_it_learned_on_disk(tmp_path: Path):
    view, _ = see(*EDGES["vector"], n=200)
    prior = replace(PRIOR, settings=replace(PRIOR.settings, max_steps=60, round_steps=20))
    made = prior.take(replace(view, shelf=Shelf(tmp_path)))
    mean = view.training.targets(slice(None)).mean(0)
    zero = float((view.selection.targets(slice(None)) - mean).square().mean())
    assert rebuilding_error(made, view.selection, "cpu") < 0.95 * zero
    assert not any(weight.requires_grad for weight in made.parameters())
    told: list[str] = []
    again = prior.take(replace(view, shelf=Shelf(tmp_path)), lambda task, *_: told.append(task))
    assert not told
    assert all(torch.equal(one, other) for one, other in zip(made.parameters(), again.parameters(), strict=True))
    fewer, _ = see(*EDGES["vector"], n=199)
    prior.take(replace(fewer, shelf=Shelf(tmp_path)), lambda task, *_: told.append(task))
    assert told


def test_the_selection_error_is_that_of_the_chosen_weight(shelf: Shelf, generator: ImageVAE):
    view, _ = see(*EDGES["map"])
    view = replace(view, selection=first(view.selection, 6))
    attack = replace(QUICK["latent"], steps=20, chosen_on=6)
    inverse = attack.train(replace(view, shelf=shelf), seed=0)
    errors = inverse(view.selection.features) - view.selection.targets(slice(None))
    assert inverse.selection_mse == pytest.approx(float(errors.square().mean()), rel=1e-3)


@pytest.mark.parametrize(("attack", "lacking"), [(Latent(PRIOR), "edge"), (LatentQuery(PRIOR), "query")])
def test_says_what_it_needs(attack: LatentSearch, lacking: str, shelf: Shelf, generator: ImageVAE):
    view = replace(see(*EDGES["map"])[0], shelf=shelf, **{lacking: None})
    with pytest.raises(AttackError, match="needs"):
        attack.train(view, seed=0)


def test_without_its_package_evolution_says_how_to_get_it(
    shelf: Shelf, generator: ImageVAE, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "cmaes", None)
    with pytest.raises(MissingExtra, match=r"goldcut\[search\]"):
        QUICK["latent-query"].train(replace(see(*EDGES["map"])[0], shelf=shelf), seed=0)


def test_an_interrupt_ends_the_search_of_victims(shelf: Shelf, generator: ImageVAE):
    view, victims = see(*EDGES["map"])
    told: list[Callable[[], None]] = []

    def progress(task: str, done: float, total: float) -> None:
        if told:
            raise KeyboardInterrupt

    inverse = replace(QUICK["latent"], steps=3).train(replace(view, shelf=shelf), seed=0, progress=progress)
    told.append(lambda: None)
    with pytest.raises(KeyboardInterrupt):
        inverse(victims.features[:2])
