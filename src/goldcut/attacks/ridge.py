"""The linear inverse in closed form: deterministic, seconds, and the floor under every decoder."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from goldcut.attacks.base import BATCH, Attack, Inverse, Sample, View, selection_error
from goldcut.attacks.linear import Affine, fit_ridge, principal_axes
from goldcut.attacks.mirror import choose_training
from goldcut.attacks.transforms import choose_transform
from goldcut.progress import Progress, silent


@dataclass(frozen=True)
class Ridge(Attack):
    """Ridge regression of the image on Z.

    Where Z has more than `most` elements it is first rotated to its `most` leading principal axes, which
    are taken from `axes_from` training images.

    Attributes:
        most: Regressors at most.
        axes_from: Training images behind the principal axes.
    """

    most: int = 1024
    axes_from: int = 2048

    @property
    def name(self) -> str:
        return "ridge"

    def train(self, view: View, *, seed: int, progress: Progress = silent, checkpoint: Path | None = None) -> Inverse:
        transform = choose_transform(view, seed=seed)
        progress(self.name, 1, 4)
        axes = None
        if int(np.prod(view.z_shape)) > self.most:
            chosen = np.random.default_rng((seed, 12)).permutation(len(view.training))[: self.axes_from]
            few = view.training.representations(torch.from_numpy(np.sort(chosen)), view.device)
            axes = principal_axes(transform(few).flatten(1), self.most)
        progress(self.name, 2, 4)

        def reduce(z: Tensor) -> Tensor:
            flat = transform(z).flatten(1)
            return flat if axes is None else flat @ axes

        def reduced(sample: Sample) -> Tensor:
            parts = (slice(start, start + BATCH) for start in range(0, len(sample), BATCH))
            return torch.cat([reduce(sample.representations(part, view.device)).cpu() for part in parts])

        own = choose_training(view, transform, seed=seed)
        regressors, others = reduced(own), reduced(view.selection)
        targets = view.selection.targets(slice(None)).flatten(1)
        progress(self.name, 3, 4)

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for start in range(0, len(regressors), BATCH):
                part = slice(start, start + BATCH)
                yield regressors[part], own.targets(part).flatten(1)

        inverse, shrink, _ = fit_ridge(batches, others, targets)
        inverse = Affine(*(part.to(view.device) for part in (inverse.weights, inverse.z_mean, inverse.x_mean)))

        def invert(z: Tensor) -> Tensor:
            return inverse(reduce(z)).reshape(-1, *view.image_shape)

        progress(self.name, 4, 4)
        return Inverse(
            invert,
            selection_mse=selection_error(view, invert),
            converged=True,
            transform=transform.name,
            settings=asdict(self) | {"lambda": shrink, "mirrored": own is view.mirrored},
            device=view.device,
        )
