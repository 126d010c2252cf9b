"""A tiny classifier under a recipe: it learns, selects by the rules, and does not depend on being watched."""

from itertools import pairwise

import pytest
import torch

from goldcut.errors import TrainingError
from goldcut.training.classifier import Recipe, cosine, selected_epoch, steps_per_epoch, train_classifier
from goldcut.training.losses import CrossEntropy
from goldcut.training.specs import parse_loss, parse_targets
from goldcut.training.targets import Smooth
from goldcut.training.vortex import RadiusMonitor


def run(small, targets="one-hot", loss="ce", cuts=(), acts_on=(), splits=(), **options):
    recipe = Recipe(
        parse_targets(targets),
        parse_loss(loss),
        modules={cut: cut for cut in acts_on if cut != "output"},
        acts_on=acts_on,
        **{"epochs": 3, "batch": 16, "rate": 2e-2} | options,
    )
    watched = [small.graph.cut(name) for name in cuts]
    steps = recipe.epochs * steps_per_epoch(len(small.training), recipe.batch)
    monitor = RadiusMonitor(small.graph, small.selection, watched, recipe.targets, split_steps=splits, steps=steps)
    return train_classifier(small.target.model, small.training, recipe, monitor, seed=1), monitor


def weights(small):
    return [tensor.clone() for tensor in small.target.model.state_dict().values()]


def test_it_learns_and_keeps_the_best_epoch(small):
    fitted, monitor = run(small, epochs=15)
    assert [row.epoch for row in monitor.epochs] == list(range(16))
    assert [row.step for row in monitor.epochs] == list(range(0, 91, 6))
    errors = [1 - row.accuracy for row in monitor.epochs[1:]]
    assert fitted.scores == pytest.approx(errors)
    best = selected_epoch(fitted.scores)
    assert errors[best - 1] == min(errors)
    assert max(row.accuracy for row in monitor.epochs) > 0.8
    again = monitor.end_epoch(9, 99, 0.0)
    assert again.accuracy == monitor.epochs[best].accuracy


def test_watching_changes_nothing(small):
    start = {name: tensor.clone() for name, tensor in small.target.model.state_dict().items()}
    run(small, cuts=("2", "5", "output"), splits=(0, 3, 7))
    watched = weights(small)
    small.target.model.load_state_dict(start)
    run(small)
    assert all(torch.equal(a, b) for a, b in zip(watched, weights(small), strict=True))


def test_no_epoch_is_selected_before_negative_smoothing_is_in_full_force(small):
    fitted, _ = run(small, "smooth:-0.05", epochs=4)
    assert [score >= 1 for score in fitted.scores] == [True, False, False, False]


@pytest.mark.parametrize(
    ("targets", "loss", "acts_on"),
    [
        ("smooth:0.3", "focal:2", ()),
        ("mixup:1", "logit-norm:1e-2", ()),
        ("cutmix:1", "maxsup:0.1", ()),
        ("smooth:0.3", "shrink:0.01", ()),
        ("one-hot", "supcon:0.1", ("output",)),
        ("one-hot", "radius:8", ("5", "output")),
    ],
)
def test_other_recipes_end_with_finite_weights(small, targets, loss, acts_on):
    run(small, targets, loss, acts_on=acts_on, epochs=1, augment="shift+flip")
    assert all(tensor.isfinite().all() for tensor in weights(small))


def test_the_radius_loss_contracts_the_class_radius_at_its_cut(small):
    start = {name: tensor.clone() for name, tensor in small.target.model.state_dict().items()}
    shares = {}
    for loss in ("ce", "radius-standard:8"):
        small.target.model.load_state_dict(start)
        acts_on = () if loss == "ce" else ("5",)
        _, monitor = run(small, loss=loss, cuts=("5",), acts_on=acts_on, epochs=4)
        shares[loss] = monitor.epochs[-1].cuts[0].within_share_standardised
    assert shares["radius-standard:8"] < shares["ce"]


def test_a_training_that_diverges_says_so(small):
    with pytest.raises(TrainingError, match="diverged at rate"):
        run(small, rate=1e30)


def test_the_rate_rises_and_falls():
    rates = [cosine(share / 100) for share in range(101)]
    assert rates[0] == 0.1
    assert max(rates) == rates[5] == 1
    assert rates[-1] == pytest.approx(0)
    assert all(later <= earlier for earlier, later in pairwise(rates[5:]))


def test_the_default_recipe_is_cross_entropy_on_one_hot(small):
    recipe = Recipe(Smooth(), CrossEntropy(), {})
    assert (recipe.targets.spec, recipe.loss.spec) == ("one-hot", "ce")
