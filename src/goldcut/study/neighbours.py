"""The second figure of a promise: how sharply what is sent tells an image from its neighbours."""

import numpy as np
import torch

from goldcut.cuts.graph import CutGraph
from goldcut.cuts.split import copy_part
from goldcut.metrics.bootstrap import bootstrap_mean
from goldcut.probe.fisher import PROBES, jacobian_power
from goldcut.probe.promise import clip_norm
from goldcut.records import Cut, FisherLeakage
from goldcut.sources.images import Images

IMAGES, BATCH_SIZE = 128, 32

ASSUMPTION = (
    "It holds for attackers whose estimate is right on average at every image; one who knows what images look like"
    " is biased towards them and may err less, so it is no promise."
)


def fisher_leakage(
    graph: CutGraph, cut: Cut, images: Images, norm: float, sigma: float, *, device: str = "cpu", seed: int = 0
) -> FisherLeakage:
    """Fisher leakage of clipped Z with noise.

    Args:
        graph: Of the model.
        cut: Where Z is sent.
        images: IMAGES of them, drawn, are looked at.
        norm: What Z is clipped to.
        sigma: Deviation of the noise per element, over the root of the number of releases.
        device: Where the model is.
        seed: Of the choice and of the random signs.
    """
    edge = copy_part(graph.module, source=None, result=graph.sent_node(cut.name))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(images))[:IMAGES])
    source, powers, pixels = torch.Generator().manual_seed(seed), [], []
    for start in range(0, len(chosen), BATCH_SIZE):
        batch = images.batch(chosen[start : start + BATCH_SIZE]).to(device)
        powers.append(jacobian_power(lambda x: clip_norm(edge(x), norm), batch, source))
        pixels.append(batch.flatten(1).double().cpu())
    seen = torch.cat(pixels)
    each = (torch.cat(powers) / (seen.shape[1] * sigma**2)).numpy()
    low, high = bootstrap_mean(each, seed=seed)
    mean = float(each.mean())
    return FisherLeakage(
        leakage=mean,
        leakage_low=low,
        leakage_high=high,
        unbiased_mse=1 / mean if mean > 0 else None,
        mean_image_mse=float((seen - seen.mean(0)).square().mean()),
        images=len(chosen),
        probes=PROBES,
        assumption=ASSUMPTION,
    )
