"""Radii, shares and limits against slow definitions, and what moves them."""

import numpy as np
import pytest
import torch
from scipy import stats

from goldcut.probe.geometry import FOLDS, STUDENT_975, Scatter, jackknife, mean_radius_sq


def scatter_of(z: np.ndarray, labels: np.ndarray, folds: np.ndarray | None = None) -> Scatter:
    """The scatters of vectors, computed from scratch for each view."""
    classes = labels.max() + 1
    kept = [np.ones(len(z), dtype=bool), *([] if folds is None else [folds != fold for fold in range(FOLDS)])]
    count = np.zeros((len(kept), classes))
    within = np.zeros((len(kept), classes))
    channel_within = np.zeros((len(kept), z.shape[1]))
    channel_total = np.zeros((len(kept), z.shape[1]))
    for view, mask in enumerate(kept):
        for label in range(classes):
            own = z[mask & (labels == label)]
            count[view, label] = len(own)
            if len(own):
                squares = (own - own.mean(0)) ** 2
                within[view, label] = squares.sum()
                channel_within[view] += squares.sum(0)
        channel_total[view] = ((z[mask] - z[mask].mean(0)) ** 2).sum(0)
    arrays = (count, within, channel_within, channel_total, z.mean(0) ** 2)
    return Scatter(*(torch.from_numpy(array) for array in arrays))


@pytest.fixture
def z() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 5)) * [1, 2, 3, 4, 5] + np.repeat(np.arange(3), 20)[:, None]


LABELS = np.repeat(np.arange(3), 20)


def test_figures_match_their_definitions(z: np.ndarray) -> None:
    found = scatter_of(z, LABELS)
    means = np.stack([z[label == LABELS].mean(0) for label in range(3)])
    distances = ((z - means[LABELS]) ** 2).sum(1)
    total = ((z - z.mean(0)) ** 2).sum(1)
    standard = z / z.std(0)
    standard_means = np.stack([standard[label == LABELS].mean(0) for label in range(3)])
    standardised = ((standard - standard_means[LABELS]) ** 2).sum() / ((standard - standard.mean(0)) ** 2).sum()
    assert found.radius_sq().item() == pytest.approx(np.mean([distances[label == LABELS].mean() for label in range(3)]))
    assert found.total_variance().item() == pytest.approx(total.mean())
    assert found.within_share().item() == pytest.approx(distances.sum() / total.sum())
    assert found.within_share_standardised().item() == pytest.approx(standardised)


def test_radius_is_unweighted_and_leaves_singletons_out() -> None:
    count, within = torch.tensor([[4.0, 2.0, 1.0, 0.0]]), torch.tensor([[4.0, 6.0, 0.0, 0.0]])
    assert mean_radius_sq(count, within).item() == 2.0
    assert mean_radius_sq(count, within, fewest=1).item() == pytest.approx(4 / 3)
    assert mean_radius_sq(torch.ones(1, 3), torch.zeros(1, 3)).isnan().item()


def test_a_common_scale_moves_only_the_radius_and_a_scale_per_channel_not_the_standardised_share(z: np.ndarray) -> None:
    plain, scaled = scatter_of(z, LABELS), scatter_of(7 * z, LABELS)
    per_channel = scatter_of(z * [100, 1, 0.01, 3, 1], LABELS)
    assert scaled.radius_sq().item() == pytest.approx(49 * plain.radius_sq().item())
    assert scaled.within_share().item() == pytest.approx(plain.within_share().item())
    assert per_channel.within_share().item() != pytest.approx(plain.within_share().item(), rel=0.01)
    assert per_channel.within_share_standardised().item() == pytest.approx(plain.within_share_standardised().item())


def test_constant_channels_do_not_count_and_a_constant_z_has_share_0(z: np.ndarray) -> None:
    noise = 1e-7 * np.random.default_rng(1).normal(size=(60, 1))
    padded = np.concatenate([z, np.full((60, 1), 3.0), 1 + noise], axis=1)
    plain = scatter_of(z, LABELS)
    assert scatter_of(padded, LABELS).within_share_standardised().item() == pytest.approx(
        plain.within_share_standardised().item()
    )
    still = scatter_of(np.full((60, 2), 3.0), LABELS)
    assert not still.varies
    assert still.within_share().item() == still.within_share_standardised().item() == 0


def test_limits_are_students_t_times_the_grouped_jackknife_error(z: np.ndarray) -> None:
    folds = np.arange(60) % FOLDS
    values = scatter_of(z, LABELS, folds).radius_sq()
    left_out = np.array(
        [scatter_of(z[folds != fold], LABELS[folds != fold]).radius_sq().item() for fold in range(FOLDS)]
    )
    error = np.sqrt((FOLDS - 1) / FOLDS * ((left_out - left_out.mean()) ** 2).sum())
    half = stats.t.ppf(0.975, FOLDS - 1) * error
    found = jackknife(values)
    assert found.low == pytest.approx(found.value - half)
    assert found.high == pytest.approx(found.value + half)
    assert pytest.approx(stats.t.ppf(0.975, FOLDS - 1)) == STUDENT_975


def test_limits_stay_inside_what_a_share_can_be_and_need_every_fold() -> None:
    wide = torch.tensor([0.95, *([0.5, 1.0] * 5)])
    assert jackknife(wide, highest=1).high == 1
    assert jackknife(-wide).low == 0
    assert jackknife(torch.tensor([0.5, *([float("nan")] * 10)])).low is None
    assert jackknife(torch.tensor([0.5, 0.4])).high is None


def test_limits_cover_the_true_variance_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        z = rng.normal(size=(100, 3))
        folds = rng.permutation(100) % FOLDS
        found = jackknife(scatter_of(z, np.zeros(100, dtype=int), folds).total_variance())
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 3 <= found.high
    assert 0.88 <= hits / 200 <= 0.99
