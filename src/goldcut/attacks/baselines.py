"""What an attacker gets without inverting anything: the zero of the scale, and a look-up."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from goldcut.attacks.base import BATCH, Sample

_CHUNK = 1024


def class_mean_images(
    sample: Sample, mean_image: Float[Tensor, "c h w"], labels: Int[np.ndarray, " m"]
) -> Float[Tensor, "m c h w"]:
    """For each label the mean of the attacker's images with that predicted label.

    A label that the model predicts for none of them falls back on the mean of all.
    """
    assert sample.labels is not None
    means = {
        int(label): sample.targets(torch.from_numpy(np.flatnonzero(sample.labels == label))).mean(0)
        for label in np.unique(sample.labels)
    }
    return torch.stack([means.get(int(label), mean_image) for label in labels])


def nearest_images(sample: Sample, z: Float[Tensor, "m ..."], device: str = "cpu") -> Float[Tensor, "m c h w"]:
    """For each Z the attacker's image whose Z is nearest (Euclidean), streamed over the attacker's images."""
    queries = z.flatten(1).to(device)
    # Distances are differences of large numbers far from the origin: both sides are moved there first.
    centre = queries.mean(0)
    queries = queries - centre
    lengths = queries.square().sum(1)
    least = torch.full((len(z),), float("inf"), device=device)
    found = torch.zeros(len(z), dtype=torch.int64, device=device)
    for start in range(0, len(sample), _CHUNK):
        known = sample.representations(slice(start, start + _CHUNK), device).flatten(1) - centre
        distances = lengths[:, None] + known.square().sum(1) - 2 * queries @ known.T
        values, places = distances.min(dim=1)
        nearer = values < least
        least = torch.where(nearer, values, least)
        found = torch.where(nearer, places + start, found)
    return torch.cat([sample.targets(part) for part in torch.split(found.cpu(), BATCH)])
