"""What the attacks that search an image for each victim owe: strength, restraint, and one victim at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from goldcut.attacks.base import Attack, Inverse, Sample, View
from goldcut.attacks.baselines import nearest_images
from goldcut.attacks.deep_prior import DeepPrior
from goldcut.attacks.masks import describe_mask
from goldcut.attacks.problem import NoGradient, Problem, pose, total_variation
from goldcut.attacks.search import SCALES, Penalty, Search
from goldcut.attacks.spectrum import cosines, measure_spectrum
from goldcut.attacks.suite import ATTACKS
from goldcut.attacks.transforms import fit_transform
from goldcut.attacks.tuning import SELECTION, Course, Meter, choose
from goldcut.errors import AttackError
from goldcut.networks.hourglass import build_hourglasses
from goldcut.progress import silent

from .test_attacks import EDGES, as_logits, as_softmax, as_vector, recovered, see

MARGIN = 0.15
"""By how much more of the variance each search has to recover than the mean image and the nearest image."""

STEPS = {"rmle": 24, "refine": 16, "prior": 30}
VICTIMS = 16
SEARCHES = [ATTACKS[name] for name in STEPS]


def quick(attack: Attack) -> Attack:
    """Few steps, and small networks."""
    small = {"width": 8, "levels": 2} if isinstance(attack, DeepPrior) else {}
    return replace(attack, steps=STEPS[attack.name], **small)  # type: ignore[type-var]


@pytest.fixture(params=SEARCHES, ids=lambda one: one.name)
def attack(request: pytest.FixtureRequest) -> Attack:
    return quick(request.param)


def rough_start(view: View) -> Inverse:
    """A finished attack that is right up to a blur: half of each image, half of the mean."""
    mean = view.training.targets(slice(None)).mean(0)
    known = torch.cat([view.training.features, view.selection.features])
    images = torch.cat([view.training.targets(slice(None)), view.selection.targets(slice(None))])

    def invert(z: Tensor) -> Tensor:
        nearest = torch.cdist(z.flatten(1), known.flatten(1)).argmin(1)
        return (images[nearest] + mean) / 2

    made = invert(view.selection.features)
    error = float((made - view.selection.targets(slice(None))).square().mean())
    return Inverse(invert, selection_mse=error, converged=True)


def started(view: View) -> View:
    return replace(view, starts=(rough_start(view),))


def first(sample: Sample, n: int) -> Sample:
    return replace(sample, images=sample.images[:n], features=sample.features[:n], labels=None)


@pytest.mark.parametrize("name", ["rmle", "refine"])
def test_it_passes_no_more_images_through_the_edge_than_it_says(name: str):
    attack, counted = quick(ATTACKS[name]), [0]
    layer = torch.nn.Conv2d(2, 4, 3)
    view, victims = see(lambda x: layer(x).detach(), "map")

    def edge(images: Tensor) -> Tensor:
        counted[0] += len(images) * torch.is_grad_enabled()
        return layer(images)

    assert attack.victims is not None
    attack.train(started(replace(view, edge=edge)), seed=0)(first(victims, attack.victims).features)
    assert attack.work is not None
    assert attack.work.edge_images / 4 < counted[0] <= attack.work.edge_images + 2 * 4  # and the probe for a gradient


@pytest.mark.parametrize("where", EDGES)
def test_beats_the_mean_and_the_nearest_image_at_a_leaky_cut(attack: Attack, where: str):
    view, victims = see(*EDGES[where])
    inverse = attack.train(started(view), seed=0)
    assert inverse.selection_mse > 0
    victims = first(victims, VICTIMS)
    made = inverse(victims.features)
    reached = recovered(made, view, victims)
    assert reached > MARGIN
    assert reached > recovered(nearest_images(view.training, victims.features), view, victims) + MARGIN
    assert made.shape == victims.images.shape
    assert 0 <= made.min() <= made.max() <= 1


def test_the_seed_decides_and_nothing_global_is_touched(attack: Attack):
    view, victims = see(*EDGES["map"])
    view, victims = started(view), first(victims, 8)
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    made = [replace(attack, steps=8).train(view, seed=3)(victims.features) for _ in range(2)]
    assert torch.equal(*made)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_what_it_was_given_stays_as_it_was(attack: Attack):
    layer = torch.nn.Conv2d(2, 4, 3)
    view, _ = see(lambda x: layer(x).detach(), "map")
    view = started(replace(view, edge=layer))
    given = [part for sample in (view.training, view.selection) for part in (sample.images, sample.features)]
    given += [weight.detach() for weight in layer.parameters()]
    before = [tensor.clone() for tensor in given]
    replace(attack, steps=8).train(view, seed=0)(view.selection.features[:4])
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
    assert all(weight.grad is None for weight in layer.parameters())


def test_each_victim_is_attacked_alone(attack: Attack):
    view, victims = see(*EDGES["vector"])
    inverse = replace(attack, steps=20).train(started(view), seed=0)
    together = inverse(victims.features[:8])
    apart = torch.cat([inverse(victims.features[:4]), inverse(victims.features[4:8])])
    assert torch.allclose(together, apart, atol=1e-3)


def test_softmax_leaks_like_the_logits():
    reached = []
    for edge in (as_logits, as_softmax):
        view, victims = see(edge, "vector", n=800)
        inverse = quick(ATTACKS["rmle"]).train(view, seed=0)
        reached.append(recovered(inverse(victims.features[:VICTIMS]), view, first(victims, VICTIMS)))
    assert inverse.transform == "log"
    assert inverse.transform == "log"
    assert abs(reached[0] - reached[1]) < 0.03


def test_behind_rounding_it_says_so_or_keeps_its_start(attack: Attack):
    view, victims = see(lambda x: (4 * as_vector(x)).round(), "vector")
    view = started(view)
    if not attack.follows:
        with pytest.raises(NoGradient, match="no gradient comes back"):
            attack.train(view, seed=0)
        return
    inverse = attack.train(view, seed=0)
    assert "no gradient comes back" in inverse.note
    assert torch.equal(inverse(victims.features), view.starts[0](victims.features))


def test_without_the_weights_it_is_refused(attack: Attack):
    view, _ = see(*EDGES["vector"])
    with pytest.raises(AttackError, match="needs the weights"):
        attack.train(started(replace(view, edge=None)), seed=0)


def test_an_edge_cut_off_from_its_image_has_no_gradient():
    view, _ = see(*EDGES["vector"])
    with pytest.raises(NoGradient):
        pose(replace(view, edge=lambda x: as_vector(x.detach())), seed=0)


def test_an_effort_scales_the_steps(attack: Attack):
    assert [attack.at_effort(effort).steps for effort in ("small", "large")] == [
        attack.steps * 3 // 4,
        4 * attack.steps,
    ]
    refine = ATTACKS["refine"]
    assert refine.at_effort("small").decoder.settings.max_steps == refine.decoder.settings.max_steps * 3 // 4


def test_an_interrupt_ends_it(attack: Attack):
    view, victims = see(*EDGES["vector"])

    def interrupt(task: str, done: float, total: float) -> None:
        assert done <= total
        if "images" in task:
            raise KeyboardInterrupt

    inverse = replace(attack, steps=4).train(started(view), seed=0, progress=interrupt)
    assert inverse.steps > 0
    with pytest.raises(KeyboardInterrupt):
        inverse(victims.features[:2])


def test_refine_never_ends_worse_than_its_start():
    view, _ = see(*EDGES["vector"])
    n, truth = SELECTION, view.selection.targets(slice(0, SELECTION))

    def perfect(z: Tensor) -> Tensor:
        return view.selection.targets(slice(None))[torch.cdist(z, view.selection.features).argmin(1)]

    start = replace(rough_start(view), invert=perfect, selection_mse=0.0)
    inverse = quick(ATTACKS["refine"]).train(replace(view, starts=(start,)), seed=0)
    assert inverse.steps == 0
    assert "nothing is gained" in inverse.note
    assert torch.equal(inverse(view.selection.features[:n]), truth)
    better = quick(ATTACKS["refine"]).train(started(view), seed=0)
    assert better.selection_mse < 0.5 * better.settings["start_mse"]
    assert better.selection_mse == pytest.approx(
        float((better(view.selection.features[:n]) - truth).square().mean()), rel=1e-3
    )


def test_refine_starts_from_the_best_or_trains_a_decoder():
    view, victims = see(lambda x: as_vector(x).round(), "vector")
    good, bad = rough_start(view), replace(rough_start(view), selection_mse=1.0, invert=lambda z: torch.zeros(1))
    inverse = quick(ATTACKS["refine"]).train(replace(view, starts=(bad, good)), seed=0)
    assert inverse.selection_mse == good.selection_mse
    own = replace(ATTACKS["refine"], decoder=replace(ATTACKS["refine"].decoder, size="XS").at_effort("small"))
    own = replace(
        own, decoder=replace(own.decoder, settings=replace(own.decoder.settings, max_steps=20, round_steps=5))
    )
    assert own.train(view, seed=0)(victims.features).shape == victims.images.shape


def test_the_penalty_is_chosen_on_the_selection_images_alone():
    view, victims = see(*EDGES["vector"])
    settings = [
        quick(ATTACKS["rmle"]).train(replace(view, observed=observed), seed=0).settings
        for observed in (None, victims.features, victims.features.flip(0))
    ]
    assert settings[0] == settings[1] == settings[2]
    # Where less comes through, more has to be known beforehand.
    faint, _ = see(lambda x: as_vector(x)[:, :6], "vector")
    chosen = quick(ATTACKS["rmle"]).train(faint, seed=0).settings
    assert (chosen["smooth"], chosen["near"]) > (settings[0]["smooth"], 0) or chosen["near"] > settings[0]["near"]


def test_of_several_starts_the_one_that_comes_nearest_to_z_is_kept():
    view, victims = see(*EDGES["vector"])
    problem, z = pose(view, seed=0)[0], victims.features[:16]
    own = view.training.targets(slice(None))
    mean = own.mean(0).expand(16, 2, 8, 8)
    search = Search(problem, measure_spectrum(own - mean[0]), Penalty(near=0.01), 20)
    noise = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(0))
    meter = Meter("", 1, silent)
    with torch.no_grad():
        single = [problem.distance(search.find(z, mean, [begin], 20, meter), z) for begin in (None, noise)]
        both = problem.distance(search.find(z, mean, [None, noise], 20, meter), z)
    assert torch.allclose(both, torch.minimum(*single), atol=1e-6)


def test_noise_is_no_start_where_z_says_little():
    view, _ = see(lambda x: as_vector(x)[:, :6], "vector")
    settings = replace(quick(ATTACKS["rmle"]), steps=10).train(view, seed=0).settings
    assert (settings["starts"], settings["kept"]) == (2, 1)


def test_a_noisy_edge_is_searched_in_expectation():
    view, victims = see(*EDGES["vector"])
    noise = torch.Generator().manual_seed(0)
    noisy = replace(view, edge=lambda x: as_vector(x) + 0.1 * torch.randn(len(x), 64, generator=noise))
    victims = first(victims, VICTIMS)
    reached = [
        recovered(quick(ATTACKS["rmle"]).train(one, seed=0)(victims.features), view, victims) for one in (view, noisy)
    ]
    assert reached[1] > reached[0] - 0.1


def test_a_gradient_that_is_not_finite_spoils_nothing():
    view, victims = see(*EDGES["vector"])

    def edge(x: Tensor) -> Tensor:
        return as_vector(x) + (x[:, :1, 0, 0] * 0).sqrt()  # its slope at zero is infinite

    made = quick(ATTACKS["rmle"]).train(replace(view, edge=edge), seed=0)(victims.features[:4])
    assert torch.isfinite(made).all()


def test_one_scale_for_the_image_leaves_alone_what_z_says_nothing_about():
    view, victims = see(*EDGES["vector"])
    problem, z, truth = pose(view, seed=0)[0], victims.features[:16], victims.targets(slice(0, 16))
    mean = view.training.targets(slice(None)).mean(0)
    spectrum = measure_spectrum(view.training.targets(slice(None)) - mean)
    errors = {}
    for scale in SCALES:
        with torch.no_grad():
            *_, (_, made) = Search(problem, spectrum, Penalty(near=0.01), 40, scale).walk(z, mean.expand_as(truth))
        errors[scale] = float((made - truth).square().mean())
    assert errors["image"] < 0.8 * errors["coordinate"]


def test_total_variation_of_a_known_image():
    image = torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]])
    assert total_variation(image).tolist() == [1.0]  # down: (0, 1) -> 1/2; right: (1, 0) -> 1/2


def test_the_distance_is_in_variances_of_z():
    view, _ = see(lambda x: 5 * as_vector(x) + 3, "vector")
    transform = fit_transform("standardise", view.training.features, "vector")
    assert transform is not None
    problem = Problem(view.edge, transform, 1.0)  # type: ignore[arg-type]
    images, z = view.training.targets(slice(None)), view.training.features
    assert problem.distance(images, z.mean(0, keepdim=True).expand_as(z)).mean() == pytest.approx(1, abs=1e-3)
    assert problem.distance(images, z).max() < 1e-6


def test_cosines_are_orthonormal_and_ordered_by_frequency():
    waves = cosines(9)
    assert torch.allclose(waves @ waves.T, torch.eye(9), atol=1e-6)
    assert [int((row.sign().diff() != 0).sum()) for row in waves[:4]] == [0, 1, 2, 3] or waves[0].std() < 1e-6


def test_a_spectrum_makes_coordinates_of_variance_one_and_back():
    generator = torch.Generator().manual_seed(0)
    offsets = torch.randn(4000, 3, 4, 5, generator=generator) * torch.tensor([3.0, 1.0, 0.5])[:, None, None]
    offsets = offsets + 2 * torch.randn(4000, 1, 4, 5, generator=generator)  # colours go together
    spectrum = measure_spectrum(offsets)
    coordinates = spectrum.coordinates(offsets)
    assert torch.allclose(spectrum.images(coordinates), offsets, atol=1e-4)
    assert coordinates.square().mean(0).max() < 1.01
    assert coordinates.square().mean(0).min() > 0.9
    plane = coordinates.flatten(1)
    covariance = plane.T @ plane / len(plane)
    assert (covariance - covariance.diag().diag()).abs().max() < 0.1


def test_a_constant_set_of_images_has_a_spectrum():
    spectrum = measure_spectrum(torch.zeros(4, 1, 4, 4))
    assert torch.isfinite(spectrum.coordinates(torch.ones(1, 1, 4, 4))).all()


def test_choose_tries_all_briefly_and_the_best_of_each_group_in_full():
    tried: list[tuple[int, int]] = []

    def run(candidate: int, steps: int) -> Course:
        tried.append((candidate, steps))
        return Course((0, steps), (9.0, float(candidate if steps < 64 else 8 - candidate)))

    assert choose([[3, 1, 2], [5, 4], [6]], run, steps=64) == (6, Course((0, 64), (9.0, 2.0)))
    assert tried == [(3, 8), (1, 8), (2, 8), (5, 8), (4, 8), (1, 64), (4, 64), (6, 64)]


def test_a_course_ends_at_its_best_and_tells_whether_it_was_flat():
    falling = Course(tuple(range(9)), tuple(0.8**step for step in range(9)))
    assert (falling.best, falling.converged) == (8, False)
    turning = Course(tuple(range(9)), (9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0))
    assert (turning.best, turning.least, turning.converged) == (1, 1.0, True)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 8), (2, 13, 9)])
def test_hourglasses_start_equal_and_do_not_mix(shape: tuple[int, int, int]):
    networks = build_hourglasses(3, shape, width=8, levels=3, seed=0)
    noise = torch.rand(1, 8, *shape[1:], generator=torch.Generator().manual_seed(0))
    images = networks(noise)
    assert images.shape == (3, *shape)
    assert torch.allclose(images[0], images[2], atol=1e-6)
    images[1].sum().backward()
    for weight in networks.parameters():
        own = weight.grad.unflatten(0, (3, -1)).flatten(1).abs().sum(1)
        assert own[1] >= 0
        assert own[0] == own[2] == 0


@pytest.mark.parametrize("name", ["rmle", "refine"])
def test_behind_a_mask_it_is_the_better_for_knowing_it(name: str):
    """As against comparing with draws of the mask, which the edge half as it is sent would give."""
    edge, kind = EDGES["map"]
    chance = torch.Generator().manual_seed(0)

    def masked(x: Tensor) -> Tensor:
        z = edge(x)
        return z * (torch.rand(z.shape, generator=chance) < 0.5) / 0.5

    unaware, victims = see(masked, kind)
    mask = describe_mask(unaware.selection.features, 0.5, 1)
    victims, reached = first(victims, VICTIMS), {}
    for view in (unaware, replace(unaware, edge=edge, mask=mask)):
        made = quick(ATTACKS[name]).train(started(view), seed=0)(victims.features)
        reached[view.mask] = recovered(made, view, victims)
    assert reached[mask] > reached[None] + 0.05, reached
