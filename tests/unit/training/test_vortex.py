"""The monitor's figures against the scan's and plain formulas, and its split against what a step did."""

import numpy as np
import pytest
import torch

from goldcut.cost.flops import price_cuts
from goldcut.cuts.taps import read_cuts
from goldcut.probe.profile import profile_cuts
from goldcut.training.swing import class_radius_sq
from goldcut.training.targets import Smooth
from goldcut.training.vortex import RadiusMonitor, measure_cuts


def z_of(small, cut):
    kept = {}
    images = small.selection.batch(range(len(small.selection)))
    read_cuts(small.graph, images, [cut], lambda name, z: kept.update({name: z.flatten(1).double()}))
    return kept[cut]


def monitor_of(small, **options):
    return RadiusMonitor(small.graph, small.selection, small.graph.at_level("block"), Smooth(0.3), **options)


def test_the_figures_are_those_of_a_scan(small):
    cuts = price_cuts(small.graph, small.graph.at_level("block"))
    scanned = profile_cuts(small.graph, small.selection, small.selection.labels, cuts, n_classes=4).rows
    for ours, row in zip(measure_cuts(small.graph, small.selection, cuts), scanned, strict=True):
        assert ours.cut == row.name
        for name in ("radius_sq", "radius_sq_per_element", "total_variance", "within_share", "effective_rank"):
            assert getattr(ours, name) == pytest.approx(getattr(row, name), rel=1e-5), name
        assert ours.within_share_standardised == pytest.approx(row.within_share_standardised, rel=1e-5)


def test_the_predicted_figures_go_by_the_predicted_labels(small):
    name = small.graph.cuts[-1].name
    (row,) = measure_cuts(small.graph, small.selection, [small.graph.cuts[-1]])
    logits = z_of(small, name)
    predicted = logits.argmax(1)
    if len(predicted.unique()) < 2:
        assert row.radius_sq_predicted is None
    else:
        assert row.radius_sq_predicted == pytest.approx(class_radius_sq(logits, predicted), rel=1e-5)


def test_an_epoch_row_by_plain_formulas(small):
    row = monitor_of(small).end_epoch(3, 30, 1e-3)
    logits = z_of(small, "output")
    labels = torch.from_numpy(small.selection.labels)
    p = logits.softmax(1)
    assert (row.epoch, row.step, row.images) == (3, 30, 40)
    assert row.accuracy == pytest.approx(np.mean((logits.argmax(1) == labels).numpy()))
    assert row.entropy == pytest.approx(float(-(p * p.log()).sum(1).mean()), rel=1e-6)
    assert row.cross_entropy == pytest.approx(float(-p[torch.arange(40), labels].log().mean()), rel=1e-6)


def test_a_split_reports_the_change_that_the_step_made(small):
    monitor = monitor_of(small, split_steps=(4,), steps=10)
    assert not monitor.stand(3, 0.5)
    assert not monitor.stand(4, 0.5)
    before = {cut.name: z_of(small, cut.name) for cut in monitor.cuts}
    with torch.no_grad():
        for weight in small.target.model.parameters():
            weight.mul_(1.1)
    assert monitor.stand(5, 0.5)
    labels = torch.from_numpy(small.selection.labels)
    assert [row.cut for row in monitor.splits] == [cut.name for cut in monitor.cuts]
    for row in monitor.splits:
        held = class_radius_sq(before[row.cut], labels)
        assert (row.step, row.gamma) == (4, 0.5)
        assert row.radius_sq == pytest.approx(held, rel=1e-5)
        assert row.change == pytest.approx(class_radius_sq(z_of(small, row.cut), labels) - held, rel=1e-4)
    at_output = monitor.splits[-1]
    logits, q = before["output"], torch.full((40, 4), 0.1).scatter(1, labels[:, None], 0.7).double()
    moved = logits - 0.5 * (logits.softmax(1) - q)
    exact = class_radius_sq(moved, labels) - class_radius_sq(logits, labels)
    assert at_output.pull + at_output.interference + at_output.second_order == pytest.approx(exact, rel=2e-2)


def test_looking_leaves_no_trace(small):
    model = small.target.model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.random.get_rng_state()
    monitor = monitor_of(small, split_steps=(0,), steps=2)
    monitor.stand(0, 0.1)
    monitor.end_epoch(0, 0, 0.0)
    monitor.stand(1, 0.1)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert torch.equal(random, torch.random.get_rng_state())


def test_rewinding_forgets_what_will_be_recorded_again(small):
    monitor = monitor_of(small, split_steps=(0, 5), steps=10)
    for step in range(7):
        monitor.stand(step, 0.1)
    monitor.end_epoch(1, 5, 0.1)
    monitor.rewind(5)
    assert [row.step for row in monitor.epochs] == [5]
    assert {row.step for row in monitor.splits} == {0}
    monitor.rewind(0)
    assert not monitor.epochs
    assert not monitor.splits
