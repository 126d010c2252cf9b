"""Labels where the data has none: the model's own predictions, or clusters of its deepest Z."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.taps import read_cuts
from goldcut.errors import BudgetError, DataError, ModelError
from goldcut.progress import Progress, silent
from goldcut.sources.images import Images

UNIT = 1e-4
"""Rows whose lengths are all within this of 1 are unit vectors."""


def predict(
    graph: CutGraph,
    images: Images,
    *,
    batch_size: int = 128,
    device: str = "cpu",
    progress: Progress = silent,
) -> Float[Tensor, " n *output"]:
    """The model's output for every image, in order.

    Args:
        graph: The traced model, already on `device`.
        images: What it is shown.
        batch_size: Images at a time.
        device: Where the model is.
        progress: Told how far it is.

    Raises:
        ModelError: An output is not finite; names the first cut where that is so.
    """
    parts = []
    for start in range(0, len(images), batch_size):
        batch = images.batch(np.arange(start, min(start + batch_size, len(images)))).to(device)
        parts.append(read_cuts(graph, batch, (), _ignore).float().cpu())
        if not bool(parts[-1].isfinite().all()):
            raise ModelError(
                f"Z at {_first_not_finite(graph, batch)}, and at no cut before it, has values that are NaN or infinite",
                "Check the model's weights and the range of the images.",
            )
        progress("predict", start + len(batch), len(images))
    return torch.cat(parts)


def looks_like_logits(output_shape: Sequence[int], outputs: Float[Tensor, " n *output"]) -> str | None:
    """Why outputs cannot be read as one score a class; None when they can.

    Args:
        output_shape: Shape of the output per image.
        outputs: Outputs of some images.

    Example:
        >>> looks_like_logits((4, 8, 8), torch.zeros(2, 4, 8, 8))
        'the output has shape 4x8x8 an image, logits are one number a class'
    """
    if len(output_shape) != 1:
        shape = "x".join(map(str, output_shape)) or "scalar"
        return f"the output has shape {shape} an image, logits are one number a class"
    if output_shape[0] < 2:
        return "the output is one number an image, logits are at least two"
    lengths = torch.linalg.vector_norm(outputs.float(), dim=1)
    probabilities = bool((outputs >= 0).all()) and bool(((outputs.sum(1) - 1).abs() < UNIT).all())
    if bool(((lengths - 1).abs() < UNIT).all()) and not probabilities:
        return "every output has length 1: a normalised embedding, no logits"
    return None


def cluster_labels(
    graph: CutGraph,
    images: Images,
    k: int,
    seed: int,
    *,
    batch_size: int = 128,
    device: str = "cpu",
    memory_bytes: int = 2**32,
    progress: Progress = silent,
) -> Int[ndarray, " n"]:
    """Clusters of the images by k-means on the deepest cut before the logits.

    The centres come from as many images as fit half the memory (all, as a rule), drawn by seed; every
    image then gets the nearest centre.

    Args:
        graph: The traced model, already on `device`.
        images: What is clustered.
        k: Number of clusters, at least 2.
        seed: Draws the images and starts k-means.
        batch_size: Images at a time.
        device: Where the model is.
        memory_bytes: Most bytes for this.
        progress: Told how far it is.

    Raises:
        DataError: k does not suit the images.
        ModelError: There is no cut before the logits.
        BudgetError: Not even 10 images a cluster fit.
    """
    if not 2 <= k <= len(images) // 2:
        raise DataError(f"{k} clusters of {len(images)} images", "Ask for at least 2, of 2 images each.")
    hidden = [cut for cut in graph.cuts if cut.level != "output"]
    if not hidden:
        raise ModelError("the model has no cut before its output", "Use labels that come with the data.")
    cut = hidden[-1]
    fits = memory_bytes // 2 // (4 * cut.elements)
    if fits < min(10 * k, len(images)):
        raise BudgetError(
            f"clustering at {cut.name} holds {fits} images in {memory_bytes / 1e9:.1f} GB, {k} clusters need {10 * k}",
            f"Give --memory {80 * k * cut.elements / 1e9:.1f}G or fewer clusters.",
        )
    chosen = np.random.default_rng(seed).permutation(len(images))[:fits]
    centres = _centres(_read_one(graph, images, np.sort(chosen), cut.name, batch_size, device, progress), k, seed)
    labels = []
    for start in range(0, len(images), batch_size):
        index = np.arange(start, min(start + batch_size, len(images)))
        z = _read_one(graph, images, index, cut.name, batch_size, device, silent)
        labels.append(torch.cdist(z, centres).argmin(1))
        progress("assign clusters", start + len(index), len(images))
    return torch.cat(labels).numpy()


def _centres(z: Float[Tensor, "n d"], k: int, seed: int) -> Float[Tensor, "k d"]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fitted = KMeans(k, n_init=4, random_state=seed).fit(z.numpy())
        except ConvergenceWarning as error:
            raise DataError(
                f"the images have fewer than {k} distinct representations", "Ask for fewer clusters."
            ) from error
    return torch.from_numpy(fitted.cluster_centers_).to(z.dtype)


def _read_one(
    graph: CutGraph,
    images: Images,
    index: Int[ndarray, " n"],
    name: str,
    batch_size: int,
    device: str,
    progress: Progress,
) -> Float[Tensor, "n d"]:
    parts: list[Tensor] = []
    for start in range(0, len(index), batch_size):
        batch = images.batch(index[start : start + batch_size]).to(device)
        read_cuts(graph, batch, (name,), lambda _, z: parts.append(z.flatten(1).float().cpu()))
        progress("cluster", start + len(batch), len(index))
    return torch.cat(parts)


def _first_not_finite(graph: CutGraph, batch: Float[Tensor, "b c h w"]) -> str:
    broken: list[str] = []

    def look(name: str, z: Tensor) -> None:
        if not broken and not bool(z.isfinite().all()):
            broken.append(name)

    read_cuts(graph, batch, tuple(cut.name for cut in graph.cuts), look)
    return broken[0]


def _ignore(name: str, z: Tensor) -> None:
    """A visitor that keeps nothing."""
