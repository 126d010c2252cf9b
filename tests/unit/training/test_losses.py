"""Each loss on small cases that can be worked by hand or by another library."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy as torch_cross_entropy

from goldcut.errors import TrainingError
from goldcut.training.contraction import ClassRadius, SupCon, class_variance, supcon
from goldcut.training.labels import one_hot, smoothed
from goldcut.training.losses import GUARD, Answers, CrossEntropy, Focal, LogitNorm, MaxSup, Shrink, cross_entropy
from goldcut.training.specs import parse_loss

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 4, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 1, 2, 3, 0])
Z = torch.randn(6, 5, generator=GENERATOR, dtype=torch.float64)


def answers(alpha: float = 0.0, **z: torch.Tensor) -> Answers:
    return Answers(LOGITS, smoothed(LABELS, 4, alpha).double(), LABELS, z)


def test_cross_entropy_is_that_of_pytorch():
    assert CrossEntropy()(answers()).item() == pytest.approx(torch_cross_entropy(LOGITS, LABELS).item())


def test_focal_by_hand_and_its_limit():
    p = LOGITS.softmax(1)[torch.arange(6), LABELS]
    assert Focal(2.0)(answers()).item() == pytest.approx((-((1 - p) ** 2) * p.log()).mean().item())
    assert Focal(0.0)(answers(0.3)).item() == pytest.approx(CrossEntropy()(answers(0.3)).item())


def test_the_logit_norm_adds_the_mean_square_length():
    added = LogitNorm(0.5)(answers()) - CrossEntropy()(answers())
    assert added.item() == pytest.approx(0.5 * LOGITS.square().sum(1).mean().item())


def test_shrink_is_the_published_loss_up_to_its_constant():
    """The script minimises KL(q || p) = sum q ln q - sum q ln p with q = (1 - a, a / (K - 1) scale)."""
    q = torch.full((6, 4), 0.3 / 3 * 0.01, dtype=torch.float64).scatter(1, LABELS[:, None], 0.7)
    script = torch.nn.functional.kl_div(LOGITS.log_softmax(1), q, reduction="batchmean")
    constant = (q * q.log()).sum(1).mean()
    assert Shrink(0.01)(answers(0.3)).item() == pytest.approx((script - constant).item(), rel=1e-6)
    assert Shrink(0.01)(answers()).item() == pytest.approx(CrossEntropy()(answers()).item())


@given(st.floats(0.01, 0.7))
def test_maxsup_is_smoothing_where_the_class_has_the_largest_logit(epsilon: float):
    """PyTorch's smoothing is cross entropy + epsilon (s_y - mean s); the logits' gradient is the same as well."""
    logits = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = logits.argmax(1)
    smooth = torch_cross_entropy(logits, labels, label_smoothing=epsilon)
    ours = MaxSup(epsilon)(Answers(logits, one_hot(labels, 4).double(), labels))
    assert ours.item() == pytest.approx(smooth.item(), rel=1e-6)


def test_supcon_by_a_loop():
    unit = torch.nn.functional.normalize(Z, dim=1)
    terms = []
    for i in range(6):
        others = [a for a in range(6) if a != i]
        positives = [p for p in others if LABELS[p] == LABELS[i]]
        if positives:
            total = sum(math.exp(float(unit[i] @ unit[a]) / 0.5) for a in others)
            terms.append(
                -sum(math.log(math.exp(float(unit[i] @ unit[p]) / 0.5) / total) for p in positives) / len(positives)
            )
    assert supcon(unit, LABELS, 0.5).item() == pytest.approx(sum(terms) / len(terms))


def test_supcon_does_not_see_the_length_of_z():
    one, other = (SupCon(1.0)(answers(cut=Z.float() * scale)).item() for scale in (1.0, 7.0))
    assert one == pytest.approx(other, rel=1e-5)


def test_class_variance_is_that_of_pytorch():
    variance, count = class_variance(Z, LABELS)
    assert count.tolist() == [2, 2]
    for row, label in zip(variance, (0, 1), strict=True):
        assert torch.allclose(row, Z[label == LABELS].var(0))


def test_the_radius_gains_nothing_below_the_floor():
    labels = torch.tensor([0, 0, 1, 1])
    tight = torch.tensor([[0.0], [1e-3], [1.0], [1.0 + 1e-3]])
    assert ClassRadius().excess(tight, labels).item() == 0
    loose = torch.tensor([[-3.0], [3.0], [-3.0], [3.0]])
    spread = 2 * (torch.sigmoid(torch.tensor(3.0)) - 0.5).item() ** 2
    floor = 0.125 * 0.01 + 0.01
    assert ClassRadius().excess(loose, labels).item() == pytest.approx(math.log((spread + 0.01) / floor), rel=1e-5)


@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_the_standardised_radius_knows_neither_scale_nor_shift(scale: float, offset: float):
    rule = ClassRadius(1.0, bound="standard")
    ours, scaled = rule.excess(Z.float() * 10, LABELS), rule.excess((Z * 10 * scale + offset).float(), LABELS)
    assert scaled.item() == pytest.approx(ours.item(), abs=0.05 if scale < 0.1 else 2e-3)


def test_a_batch_without_two_of_a_class_has_no_radius():
    assert ClassRadius().excess(Z.float()[:2], torch.tensor([0, 1])).item() == 0


def test_negative_mass_stops_pushing_at_the_guard():
    targets = smoothed(torch.tensor([0]), 3, -0.3)
    for depth, moving in ((-5.0, True), (-40.0, False)):
        logits = torch.tensor([[0.0, depth, 0.0]], requires_grad=True)
        (slope,) = torch.autograd.grad(cross_entropy(logits, targets), logits)
        assert (slope[0, 1].abs() > 0.1).item() == moving
    worst = cross_entropy(torch.tensor([[0.0, -1e4, -1e4]]), targets)
    assert worst.item() == pytest.approx(0.3 * GUARD, rel=1e-4)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("focul", "Did you mean focal"),
        ("focal:x", "'x' is no number"),
        ("focal:-1", "exponent of focal is -1"),
        ("maxsup:1.5", "weight of maxsup is 1.5"),
        ("shrink:nan", "scale of shrink is nan"),
        ("ce:1", "takes no number"),
    ],
)
def test_what_is_refused(spec: str, words: str):
    with pytest.raises(TrainingError, match=words):
        parse_loss(spec)
