"""A defence in the path: what is behind the cut learns from what is sent, and is judged on it."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from goldcut.defenses.suite import DEFENSES, read_defense
from goldcut.fitting import Settings
from goldcut.study.defended import defended_accuracies, open_graph
from goldcut.training.classifier import Recipe, train_classifier
from goldcut.training.sending import Sending
from goldcut.training.specs import parse_loss, parse_targets
from goldcut.training.taps import tapped
from goldcut.training.vortex import RadiusMonitor

SPECS = [kind.example for kind in DEFENSES.values()]
CUT = "2"


def sending(spec: str) -> Sending:
    return Sending(read_defense(spec), CUT, CUT)


@pytest.mark.parametrize("spec", SPECS)
def test_everything_behind_the_cut_sees_what_is_sent_and_the_gradient_reaches_the_edge(small, spec):
    body = small.target.model.body.eval()
    images = small.selection.batch(range(6))
    with tapped(small.target.model, {CUT: CUT}) as taps, sending(spec).taught(small.target.model) as draw:
        draw.noise.manual_seed(4)
        logits = small.target.model(images)
        sent, z = draw.sent[CUT], taps[CUT]
    assert not torch.equal(sent, z)
    assert torch.allclose(logits, body[3:](sent))
    seed = int(torch.randint(2**62, (1,), generator=torch.Generator().manual_seed(4)))
    assert torch.equal(sent, read_defense(spec).build(z.detach(), seed)(z))
    logits.sum().backward()
    assert body[0].weight.grad.abs().sum() > 0
    assert all(not module._forward_hooks for module in body.modules())
    assert not torch.equal(small.target.model(images), logits)


@pytest.mark.parametrize("spec", SPECS)
def test_the_answers_are_those_that_an_audit_judges(small, spec):
    answers = sending(spec).answers(small.graph, small.selection, seed=5)
    graph = open_graph(small.target, small.selection, spec, seed=5)
    audited = defended_accuracies(graph, [graph.cut(CUT)], small.selection)[CUT]
    accuracy = (answers.argmax(1).numpy() == small.selection.labels).mean()
    assert accuracy == pytest.approx(audited, abs=0.0 if spec.startswith(("topk", "quantise")) else 0.15)


def test_nothing_is_gained_by_growing_away_from_the_noise():
    apart = []
    for scale in (1.0, 100.0):
        layer = nn.Sequential(OrderedDict({CUT: nn.Identity()}))
        with sending("noise:0.5").taught(layer) as draw:
            draw.noise.manual_seed(0)
            z = scale * torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
            apart.append(layer(z) - z)
    assert torch.allclose(apart[1], 100 * apart[0], rtol=1e-3)


class Stop(Exception):
    """An interruption."""


def test_a_game_behind_noise_goes_on_exactly_after_an_interruption(small, tmp_path, monkeypatch):
    monkeypatch.setattr(Settings.__init__, "__defaults__", (*Settings.__init__.__defaults__[:-1], 0.0))
    start = {name: tensor.clone() for name, tensor in small.target.model.state_dict().items()}

    def run(file, last):
        def count(task, done, total):
            if done == last:
                raise Stop

        place, way = small.graph.cut(CUT), sending("noise:0.5")
        loss = parse_loss("adversary:2").joined((place,), (1, 8, 8), way.defense, 1)
        recipe = Recipe(parse_targets("one-hot"), loss, {CUT: CUT}, (CUT,), epochs=1, batch=16, sending=way)
        monitor = RadiusMonitor(small.graph, small.selection, (), recipe.targets, sending=way)
        small.target.model.load_state_dict(start)
        train_classifier(
            small.target.model, small.training, recipe, monitor, seed=1, checkpoint=tmp_path / file, progress=count
        )
        return [tensor.clone() for tensor in small.target.model.state_dict().values()]

    with pytest.raises(Stop):
        run("stopped", 3)
    resumed, whole = run("stopped", None), run("whole", None)
    assert all(torch.equal(one, other) for one, other in zip(resumed, whole, strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(whole, start.values(), strict=True))
