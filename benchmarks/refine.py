"""`refine` against both attacks of He et al. with their published settings: same edge, same images, same victims.

    python -m benchmarks.targets he_cnn npz:CIFAR.npz --out runs/he_cnn.safetensors
    python -m benchmarks.refine npz:CIFAR.npz --checkpoint runs/he_cnn.safetensors [--images 10000] [--victims 64]

He, Zhang, Lee: Model Inversion Attacks Against Collaborative Inference, 2019: the inverse network and the regularised
likelihood, on their CIFAR-10 network up to ReLU22 (`block2`). `refine` starts from decoder-S, as it does in an audit
that has nothing stronger. One JSON line an attack, then the ratio of the mean squared errors.
"""

import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import click
import torch
from torch import Tensor

from benchmarks.parity import CUT, MODEL, Peer
from benchmarks.targets import HeCNN
from goldcut.attacks import ATTACKS, Attack, Decoder, Inverse, View, attack_cuts
from goldcut.attacks.base import Sample, selection_error
from goldcut.cuts import find_cuts
from goldcut.progress import Progress, silent
from goldcut.records import Knowledge
from goldcut.study.attack import divide_parts
from goldcut.study.scan import open_sources

STEPS, RATE, EPSILON, SMOOTH = 5000, 1e-2, 1e-3, 10.0
"""Their code at ReLU22: Adam with amsgrad, the weight of the total variation."""

SELECTION = 8
"""Selection images that stand for the selection error; nothing is chosen by it."""


@dataclass(frozen=True)
class PublishedLikelihood(Attack):
    """Their search in standardised pixels from zero, with a fixed weight of the mean squared differences of neighbours.

    Attributes:
        steps: Of the search.
    """

    steps: int = STEPS

    @property
    def name(self) -> str:
        return "he-rmle"

    @property
    def needs(self) -> Knowledge:
        return "weights"

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        assert view.edge is not None
        edge = view.edge
        mean, std = (torch.tensor(part)[:, None, None] for part in (HeCNN.input_mean, HeCNN.input_std))

        def invert(z: Tensor) -> Tensor:
            found = torch.zeros(len(z), *view.image_shape, requires_grad=True)
            adam = torch.optim.Adam([found], lr=RATE, eps=EPSILON, amsgrad=True)
            for step in range(self.steps):
                adam.zero_grad()
                with torch.enable_grad():
                    apart = (edge(found * std + mean) - z).square().flatten(1).mean(1)
                    # A sum over images: each is searched for alone, whatever others are in the batch.
                    (apart + SMOOTH * roughness(found)).sum().backward()
                adam.step()
                progress(self.name, step + 1, self.steps)
            return (found.detach() * std + mean).clamp(0, 1)

        few = replace(view, selection=Sample(view.selection.images[:SELECTION], view.selection.features[:SELECTION]))
        return Inverse(invert, selection_error(few, invert), converged=True, steps=self.steps)


def roughness(images: Tensor) -> Tensor:
    """(b,): mean squared differences of neighbours, as their code has it."""
    down, right = images.diff(dim=2).square(), images.diff(dim=3).square()
    return down.flatten(1).mean(1) + right.flatten(1).mean(1)


@click.command(help=__doc__)
@click.argument("data")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="of benchmarks.targets he_cnn")
@click.option("--images", type=int, default=10_000, show_default=True, help="at most so many images of the attacker")
@click.option("--victims", type=int, default=64, show_default=True)
@click.option("--scale", type=float, default=1.0, show_default=True, help="share of everybody's training and search")
@click.option("--seed", type=int, default=0, show_default=True)
def main(data: str, checkpoint: Path | None, images: int, victims: int, scale: float, seed: int) -> None:
    target, pack = open_sources(MODEL, data, checkpoint=checkpoint)
    if pack.attacker is not None:
        pack = replace(pack, attacker=pack.attacker.subset(range(min(images, len(pack.attacker))), "few"))
    parts = divide_parts(target, pack, None, victims, seed)
    graph = find_cuts(target.model, target.input_shape)
    decoder, refine = ATTACKS["decoder-S"], ATTACKS["refine"]
    assert isinstance(decoder, Decoder)
    decoder = replace(decoder, settings=replace(decoder.settings, max_steps=round(scale * decoder.settings.max_steps)))
    attacks: list[Attack] = [decoder, refine, PublishedLikelihood(round(scale * STEPS)), Peer("he", scale)]
    with tempfile.TemporaryDirectory() as folder:
        leakage = attack_cuts(
            graph, [graph.cut(CUT)], parts, attacks, seed=seed, folder=Path(folder), memory_bytes=8 << 30, workers=1
        )
    for failure in leakage.failures:
        print(json.dumps({"attack": failure.attack, "failed": failure.reason}))
    mse = {one.attack: one.mse for one in leakage.results}
    for one in leakage.results:
        figures = {"mse": round(one.mse, 6), "recovered": round(one.recovered, 4), "victims": one.victims}
        print(json.dumps({"attack": one.attack, **figures, "steps": one.steps, "seconds": round(one.seconds)}))
    better = min(("he", "he-rmle"), key=lambda name: mse[name])
    ratio = {"refine / better of theirs": round(mse["refine"] / mse[better], 3), "better": better}
    print(json.dumps({"benchmark": "refine", **ratio, "load": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
