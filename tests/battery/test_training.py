"""Every loss under every label distribution: finite, the right gradient, no matter how classes are numbered."""

import math

import pytest
import torch
from torch import Tensor, nn

from goldcut.defenses.noise import GaussianNoise
from goldcut.errors import TrainingError
from goldcut.records import Cut
from goldcut.training.contraction import BOUNDS
from goldcut.training.losses import Answers, Loss
from goldcut.training.specs import LOSSES, TARGETS, check_pair, parse_loss, parse_targets
from goldcut.training.targets import Lesson

CLASSES, IMAGES = 5, 10
RULES = {
    "one-hot": "one-hot",
    "smooth": "smooth:0.3",
    "smooth-": "smooth:-0.05",
    "teacher": "teacher:net.safetensors",
    "mixup": "mixup:0.5",
    "cutmix": "cutmix:1",
}
REFUSED = {
    ("focal", "smooth-"),
    ("maxsup", "smooth"),
    ("maxsup", "smooth-"),
    *(
        (loss, mix)
        for loss in ("shrink", "supcon", "radius", "radius-standard", "adversary")
        for mix in ("mixup", "cutmix")
    ),
}
PAIRS = [(loss, rule) for loss in LOSSES for rule in RULES if (loss, rule) not in REFUSED]
GAMES = ("adversary",)
"""Not the gradient of one function: two sides move two ways, and Z only once the other side knows something."""

CUT = Cut(name="cut", shape=(3, 2, 2), kind="map", elements=12, level="block")


def draw(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images, labels, logits and Z."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(IMAGES, 1, 6, 6, generator=generator)
    labels = torch.arange(IMAGES) % CLASSES
    logits = torch.randn(IMAGES, CLASSES, generator=generator, dtype=torch.float64) * 3
    z = torch.randn(IMAGES, 3, 2, 2, generator=generator, dtype=torch.float64)
    return images, labels, logits, z


def teach(rule: str, images: Tensor, labels: Tensor) -> Lesson:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))
    targets = parse_targets(RULES[rule]).taught(lambda path: model)
    return targets.lesson(images, labels, CLASSES, 0.9, torch.Generator().manual_seed(4))


def evaluate(loss: Loss, logits: Tensor, lesson: Lesson, z: Tensor) -> Tensor:
    at_cut = {"cut": z} if loss.on_cuts else {}
    return loss(Answers(logits, lesson.targets.double(), lesson.labels, at_cut, images=lesson.images))


def place(name: str) -> Loss:
    """The loss at a cut with noise."""
    return parse_loss(name).joined((CUT,), (1, 6, 6), GaussianNoise(0.5), 0)


def test_every_member_is_covered():
    assert set(TARGETS) == {parse_targets(spec).spec.partition(":")[0] for spec in RULES.values()}
    assert all(parse_loss(name).spec.partition(":")[0] == name for name in LOSSES)


@pytest.mark.parametrize(("loss", "rule"), sorted(REFUSED))
def test_targets_that_a_loss_cannot_take_are_refused_in_one_sentence(loss: str, rule: str):
    with pytest.raises(TrainingError, match=rf"{loss}.* cannot take the targets {RULES[rule].partition(':')[0]}"):
        check_pair(parse_loss(loss), parse_targets(RULES[rule]))


@pytest.mark.parametrize(("loss", "rule"), PAIRS)
def test_a_pair_is_accepted_and_finite_up_to_sure_and_wrong_answers(loss: str, rule: str):
    criterion = place(loss)
    check_pair(criterion, parse_targets(RULES[rule]))
    images, labels, logits, z = draw(0)
    lesson = teach(rule, images, labels)
    for scale in (0.0, 1.0, 1e4):
        leaf = (logits * scale).float().requires_grad_()
        value = evaluate(criterion, leaf, lesson, (z * scale).float())
        value.backward()
        assert math.isfinite(value.item())
        assert leaf.grad.isfinite().all()


@pytest.mark.parametrize(("loss", "rule"), [pair for pair in PAIRS if pair[0] not in GAMES])
def test_the_gradient_is_that_of_finite_differences(loss: str, rule: str, monkeypatch):
    criterion = place(loss)
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    images, labels, logits, z = draw(1)
    lesson = teach(rule, images.double().to(torch.float32), labels)
    assert torch.autograd.gradcheck(
        lambda s, at_cut: evaluate(criterion, s, lesson, at_cut),
        (logits.requires_grad_(), z.requires_grad_()) if criterion.on_cuts else (logits.requires_grad_(), z),
        atol=1e-6,
        rtol=1e-4,
    )


@pytest.mark.parametrize(("loss", "rule"), PAIRS)
def test_the_names_of_the_classes_do_not_matter(loss: str, rule: str):
    criterion = place(loss)
    images, labels, logits, z = draw(2)
    lesson = teach(rule, images, labels)
    order = torch.tensor([3, 0, 4, 1, 2])
    renamed = Lesson(
        lesson.images,
        lesson.targets[:, order],
        None if lesson.labels is None else order.argsort()[lesson.labels],
    )
    assert evaluate(criterion, logits[:, order], renamed, z).item() == pytest.approx(
        evaluate(criterion, logits, lesson, z).item(), rel=1e-6
    )


@pytest.mark.parametrize("loss", [name for name in LOSSES if parse_loss(name).on_cuts and name not in GAMES])
def test_losses_on_cuts_move_z(loss: str):
    criterion = place(loss)
    images, labels, logits, z = draw(3)
    leaf = z.float().requires_grad_()
    evaluate(criterion, logits, teach("one-hot", images, labels), leaf).backward()
    assert leaf.grad.abs().sum() > 0


def test_every_bound_bounds():
    z = torch.randn(32, 7) * 1e3
    for bound in BOUNDS.values():
        assert bound(z).square().mean(0).max() <= 1 + 1e-5
