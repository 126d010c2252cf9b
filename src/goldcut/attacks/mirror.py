"""Mirrored images: twice the training images for an attacker who can ask the edge, unless they mislead."""

import numpy as np
import torch
from torch import Tensor

from goldcut.attacks.base import BATCH, Sample, View
from goldcut.attacks.linear import fit_ridge
from goldcut.attacks.transforms import TRIAL_ELEMENTS, TRIAL_PIXELS, Transform

TRIAL_IMAGES = 4096


def choose_training(view: View, transform: Transform, *, seed: int) -> Sample:
    """The training sample with its mirror images, unless they mislead.

    A scene may be mirrored and a digit may not. A small ridge regression on up to 4,096 images, with and
    without their mirror images, tells on the selection images.
    """
    if view.mirrored is None:
        return view.training
    rng = np.random.default_rng((seed, 13))
    rows = torch.from_numpy(np.sort(rng.permutation(len(view.training))[:TRIAL_IMAGES]))
    columns = torch.from_numpy(np.sort(rng.permutation(int(np.prod(view.z_shape)))[:TRIAL_ELEMENTS]))
    pixels = slice(None, None, -(-view.selection.images[0].numel() // TRIAL_PIXELS))

    def few(sample: Sample, index: Tensor) -> tuple[Tensor, Tensor]:
        parts = [
            transform(sample.representations(part, view.device)).flatten(1).cpu()[:, columns]
            for part in torch.split(index, BATCH)
        ]
        return torch.cat(parts), sample.targets(index).flatten(1)[:, pixels]

    others = few(view.selection, torch.arange(len(view.selection)))
    without = few(view.training, rows)
    images = len(view.mirrored) - len(view.training)  # a stochastic edge has shown each of them several times
    mirrored = few(view.mirrored, rows % images + len(view.training))
    alone = fit_ridge(lambda: [without], *others)[2]
    together = fit_ridge(lambda: [without, mirrored], *others)[2]
    return view.mirrored if together <= alone else view.training
