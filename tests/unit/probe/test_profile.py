"""The whole row of a cut against slow definitions, and what the row must not depend on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.errors import BudgetError, DataError, ModelError
from goldcut.probe import profile as room
from goldcut.probe.budget import fit_batch, image_bytes, state_bytes
from goldcut.probe.profile import Profile, profile_cuts
from goldcut.records import PricedCut
from goldcut.sources.images import Images

from .conftest import CLASSES, SHAPE, price

Slow = Callable[[CutGraph, Images, str], np.ndarray]
Cuts = tuple[PricedCut, ...]


def measure(graph: CutGraph, images: Images, cuts: Cuts, **changes: object) -> Profile:
    return profile_cuts(graph, images, images.labels, cuts, n_classes=CLASSES, **changes)  # type: ignore[arg-type]


def define(z: np.ndarray, labels: np.ndarray, kind: str) -> dict[str, float]:
    """The figures of DEFINITIONS, two passes in float64, one class after the other."""
    axis = z.ndim - 1 if kind == "tokens" else 1
    radii, within, within_channel = [], 0.0, 0.0
    for label in np.unique(labels):
        squares = (z[labels == label] - z[labels == label].mean(0)) ** 2
        radii.append(squares.reshape(len(squares), -1).sum(1).mean())
        within += squares.sum()
        within_channel = within_channel + np.moveaxis(squares, axis, 0).reshape(z.shape[axis], -1).sum(1)
    squares = (z - z.mean(0)) ** 2
    total_channel = np.moveaxis(squares, axis, 0).reshape(z.shape[axis], -1).sum(1)
    varies = total_channel > 0
    return {
        "radius_sq": float(np.mean(radii)),
        "total_variance": float(squares.sum() / len(z)),
        "within_share": float(within / squares.sum()),
        "within_share_standardised": float((within_channel[varies] / total_channel[varies]).mean()),
    }


def test_figures_match_two_passes_in_float64(graph: CutGraph, cuts: Cuts, images: Images, slow: Slow) -> None:
    profile = measure(graph, images, cuts, batch_size=48)
    for row in profile.rows:
        for name, expected in define(slow(graph, images, row.name), images.labels, row.kind).items():
            assert getattr(row, name) == pytest.approx(expected, rel=1e-6), (row.name, name)
        assert row.radius_sq_per_element == row.radius_sq / row.elements
        assert row.samples_per_class.fewest == 25
        assert row.samples_per_class.most == 70


def test_rank_and_paper_radius_match_their_definitions(
    graph: CutGraph, cuts: Cuts, images: Images, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PAPER_BATCH", len(images))
    logits = slow(graph, images, "output")
    for row in measure(graph, images, cuts).rows:
        z = slow(graph, images, row.name).reshape(len(images), -1)
        eigenvalues = np.linalg.svd(z - z.mean(0), compute_uv=False) ** 2
        assert row.effective_rank == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-4)
        assert row.effective_rank_images == len(images)
        predicted = logits.argmax(1)
        groups = [z[predicted == label] for label in np.unique(predicted)]
        paper = np.mean([((group - group.mean(0)) ** 2).sum(1).mean() for group in groups])
        assert row.radius_sq_paper == pytest.approx(paper, rel=1e-5)


def test_folds_are_the_figures_without_each_tenth(graph: CutGraph, cuts: Cuts, images: Images, slow: Slow) -> None:
    profile = measure(graph, images, cuts, seed=5)
    plan = room.deal(images.labels, CLASSES, room.FOLDS, 5)
    name = cuts[3].name
    z = slow(graph, images, name)[plan.order]
    for fold in range(room.FOLDS):
        kept = plan.folds != fold
        for statistic, expected in define(z[kept], plan.labels[kept], cuts[3].kind).items():
            assert profile.folds[statistic][fold, 3] == pytest.approx(expected, rel=1e-6), statistic


def test_any_batching_gives_the_same_row(graph: CutGraph, cuts: Cuts, images: Images) -> None:
    rows = [measure(graph, images, cuts, batch_size=size).rows for size in (1, 7, 64, 1000)]
    for other in rows[1:]:
        for one, two in zip(rows[0], other, strict=True):
            for name in (
                "radius_sq",
                "within_share",
                "within_share_high",
                "within_share_standardised",
                "effective_rank",
            ):
                assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-5), name


def test_scaling_one_layer_and_undoing_it_in_the_next_moves_only_the_radius(
    net: nn.Module, images: Images, cuts: Cuts, graph: CutGraph
) -> None:
    before = measure(graph, images, cuts).rows[1]
    with torch.no_grad():
        net.conv1.weight.mul_(5)
        net.conv1.bias.mul_(5)
        net.conv2.weight.div_(5)
    after = measure(find_cuts(net, SHAPE), images, cuts).rows[1]
    assert after.radius_sq == pytest.approx(25 * before.radius_sq, rel=1e-5)
    assert after.within_share == pytest.approx(before.within_share, rel=1e-5)
    assert after.within_share_standardised == pytest.approx(before.within_share_standardised, rel=1e-5)
    assert after.effective_rank == pytest.approx(before.effective_rank, rel=1e-4)
    for one, two in zip(before.information, after.information, strict=True):
        assert two.class_nats == pytest.approx(one.class_nats, rel=1e-5)


def test_a_scale_per_channel_moves_the_plain_share_only(
    net: nn.Module, images: Images, cuts: Cuts, graph: CutGraph
) -> None:
    before = measure(graph, images, cuts).rows[1]
    scale = torch.tensor([0.05, 0.3, 1.0, 3.0, 9.0, 30.0])
    with torch.no_grad():
        net.conv1.weight.mul_(scale.view(-1, 1, 1, 1))
        net.conv1.bias.mul_(scale)
        net.conv2.weight.div_(scale.view(1, -1, 1, 1))
    after = measure(find_cuts(net, SHAPE), images, cuts).rows[1]
    assert after.within_share != pytest.approx(before.within_share, rel=0.01)
    assert after.within_share_standardised == pytest.approx(before.within_share_standardised, rel=1e-4)


class StopError(Exception):
    """Somebody pulled the plug."""


def test_an_interrupted_scan_goes_on_and_comes_to_the_same(
    graph: CutGraph, cuts: Cuts, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goldcut.probe.resume.SECONDS", 0.0)
    whole = measure(graph, images, cuts, batch_size=16)
    file, seen = tmp_path / "scan.partial", []

    def stop(task: str, done: float, total: float) -> None:
        if done >= 90:
            raise StopError

    def note(task: str, done: float, total: float) -> None:
        seen.append((task, done))

    with pytest.raises(StopError):
        measure(graph, images, cuts, batch_size=16, checkpoint=file, progress=stop)
    assert file.exists()
    resumed = measure(graph, images, cuts, batch_size=16, checkpoint=file, progress=note)
    assert min(done for task, done in seen if task == "scan") > 90
    assert not file.exists()
    np.testing.assert_array_equal(resumed.predicted, whole.predicted)
    for one, two in zip(whole.rows, resumed.rows, strict=True):
        assert two.radius_sq == pytest.approx(one.radius_sq, rel=1e-12)
        assert two.within_share_standardised_low == pytest.approx(one.within_share_standardised_low, rel=1e-12)
        assert two.total_variance == pytest.approx(one.total_variance, rel=1e-12)


def test_a_bookmark_of_another_scan_or_a_damaged_one_is_not_taken_up(
    graph: CutGraph, cuts: Cuts, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goldcut.probe.resume.SECONDS", 0.0)
    file = tmp_path / "scan.partial"

    def stop(task: str, done: float, total: float) -> None:
        raise StopError

    with pytest.raises(StopError):
        measure(graph, images, cuts, checkpoint=file, seed=1, progress=stop)
    expected = measure(graph, images, cuts, seed=2)
    assert measure(graph, images, cuts, checkpoint=file, seed=2).rows == expected.rows
    file.write_bytes(b"not a tensor file")
    assert measure(graph, images, cuts, checkpoint=file, seed=2).rows == expected.rows


def test_values_that_are_not_finite_are_traced_to_their_first_cut(
    net: nn.Module, graph: CutGraph, images: Images, cuts: Cuts
) -> None:
    with torch.no_grad():
        net.conv2.bias[0] = float("nan")
    with pytest.raises(ModelError, match="Z at conv2, "):
        measure(graph, images, cuts)


def test_values_that_vanish_again_are_found_too(images: Images) -> None:
    class Healed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.head = nn.Linear(200, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.conv(x).div(0).clamp(-1, 1).flatten(1))

    graph = find_cuts(Healed().eval(), SHAPE)
    with pytest.raises(ModelError, match=r"Z at .*div"):
        measure(graph, images, price(graph.cuts))


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (np.zeros(166, dtype=np.int64), "same label"),
        (np.arange(166), "labels run from 0 to 165"),
        (np.arange(165), "166 integers were expected"),
        (np.zeros(166), "166 integers were expected"),
        (np.full(166, -1), "labels run from -1"),
    ],
)
def test_labels_that_no_radius_follows_from_are_refused(
    graph: CutGraph, cuts: Cuts, images: Images, labels: np.ndarray, problem: str
) -> None:
    with pytest.raises(DataError, match=problem):
        profile_cuts(graph, images, labels, cuts, n_classes=CLASSES)


def test_one_image_in_every_class_is_refused(graph: CutGraph, cuts: Cuts, make: Callable[..., Images]) -> None:
    with pytest.raises(DataError, match="no class has a radius"):
        profile_cuts(graph, make(np.array([0, 0, 1, 1])), np.arange(4), cuts, n_classes=4)


def test_few_images_are_measured_and_said(graph: CutGraph, cuts: Cuts, make: Callable[..., Images], slow: Slow) -> None:
    images = make(np.repeat([0, 1, 2], [12, 6, 1]))
    profile = measure(graph, images, cuts)
    z = slow(graph, images, cuts[1].name)
    radii = [((z[images.labels == c] - z[images.labels == c].mean(0)) ** 2).sum() / n for c, n in ((0, 12), (1, 6))]
    assert profile.rows[1].radius_sq == pytest.approx(np.mean(radii), rel=1e-6)
    said = {each.name: each.reason for each in profile.skipped}
    assert "1 of 4 classes" in said["empty classes"]
    assert "1 classes have one image" in said["single images"]
    assert "20 a class (60 images) would do" in said["images per class"]
    assert "intervals" not in said


def test_too_few_images_for_ten_folds_give_no_limits(graph: CutGraph, cuts: Cuts, make: Callable[..., Images]) -> None:
    profile = measure(graph, make(np.array([0, 0, 1])), cuts)
    assert profile.rows[0].radius_sq_low is None
    assert "intervals" in {each.name for each in profile.skipped}


def test_a_z_that_does_not_vary_has_share_0_and_no_bounds(net: nn.Module, images: Images) -> None:
    with torch.no_grad():
        net.conv2.weight.zero_()
    graph = find_cuts(net, SHAPE)
    profile = measure(graph, images, price(graph.cuts))
    row = next(row for row in profile.rows if row.name == "conv2")
    assert row.within_share == row.within_share_standardised == 0
    assert row.effective_rank is None
    assert row.information == ()
    assert "conv2" in {each.name for each in profile.skipped}


def test_outputs_that_are_no_logits_have_no_paper_radius(images: Images) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)).eval()
    graph = find_cuts(model, SHAPE)
    profile = measure(graph, images, price(graph.cuts))
    assert profile.predicted is None
    assert profile.rows[0].radius_sq_paper is None
    assert "logits" in next(each.reason for each in profile.skipped if each.name == "radius_sq_paper")


def test_predictions_come_with_the_pass(graph: CutGraph, cuts: Cuts, images: Images, slow: Slow) -> None:
    np.testing.assert_array_equal(measure(graph, images, cuts).predicted, slow(graph, images, "output").argmax(1))


def test_memory_makes_batches_smaller_and_then_refuses(graph: CutGraph, cuts: Cuts, images: Images) -> None:
    state, image = state_bytes(cuts), image_bytes(graph)
    assert fit_batch(graph, cuts, 128, state + 5 * image) == 5
    assert fit_batch(graph, cuts, 128, 2**32) == 128
    with pytest.raises(BudgetError, match=r"--memory 0\.1G") as refusal:
        measure(graph, images, cuts, memory_bytes=state // 2)
    assert "moments of 10 cuts" in str(refusal.value)


def test_the_state_does_not_grow_with_the_images_and_is_what_was_estimated(
    graph: CutGraph, cuts: Cuts, images: Images
) -> None:
    from goldcut.probe.tally import tally_cuts

    plan = room.deal(images.labels, CLASSES, room.FOLDS, 0)
    tallies, _ = tally_cuts(graph, images, cuts, plan, batch_size=32)
    held = sum(
        tensor.numel() * tensor.element_size()
        for tally in tallies.values()
        for name, tensor in tally.tensors().items()
        if not name.startswith("class_")
    )
    assert held <= state_bytes(cuts) <= 2 * held


def test_the_model_is_left_as_it_was(net: nn.Module, images: Images) -> None:
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    graph = find_cuts(net, SHAPE)
    random = torch.random.get_rng_state()
    measure(graph, images, price(graph.cuts))
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())
    assert torch.equal(random, torch.random.get_rng_state())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
