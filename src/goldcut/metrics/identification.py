"""Whether a reconstruction can be told from others of its class: retrieval among 20 victims.

The idea is the identifiability precision of Geiping's breaching framework, with the candidates held to
one predicted label, so that knowing the label alone is worth exactly chance.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

CANDIDATES = 20


def identification_per_victim(
    reconstructions: Float[Tensor, "n c h w"],
    victims: Float[Tensor, "n c h w"],
    labels: Int[np.ndarray, " n"],
    *,
    seed: int,
) -> Float[np.ndarray, " n"]:
    """Per victim, its share of being the nearest of 20 victims with the same predicted label.

    The victims of a label are put into groups of exactly 20 by seed; the remainder is not scored (NaN). A
    victim scores 1 where its own image is the nearest (mean squared error) to its reconstruction within its
    group, 1/ties where it shares that place, else 0. Chance is 1/20, and whatever is constant over a label,
    such as the class mean, scores exactly 1/20.

    Args:
        reconstructions: One per victim.
        victims: The true images.
        labels: Label that the model predicts for each victim.
        seed: Seed of the groups.
    """
    scores = np.full(len(labels), np.nan)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        for start in range(0, len(members) - CANDIDATES + 1, CANDIDATES):
            group = members[start : start + CANDIDATES]
            scores[group] = _own_is_nearest(reconstructions[group], victims[group])
    return scores


def _own_is_nearest(
    reconstructions: Float[Tensor, "k c h w"], candidates: Float[Tensor, "k c h w"]
) -> Float[np.ndarray, " k"]:
    # One candidate set for all and the same order of summation: equal images give exactly equal distances.
    pool = candidates.double().flatten(1)
    rows = [(pool - image).square().mean(dim=1) for image in reconstructions.double().flatten(1)]
    distances = torch.stack(rows)
    nearest = distances == distances.amin(dim=1, keepdim=True)
    return np.asarray((nearest.diagonal() / nearest.sum(dim=1)).double().cpu())
