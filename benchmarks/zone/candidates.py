"""Statistics of a cut that need no label and no attack, as candidates for a rule: from the Jacobian and from distances.

- gain and amplification, from one vector-Jacobian product an image and probe. The trace of J'J is what
  Fisher-calibrated noise is set by (M. F. Hutchinson, A Stochastic Estimator of the Trace of the Influence Matrix,
  1990).
- local_rank: in how many directions Z answers to the image around itself, (tr J'J)^2 / tr (J'J)^2.
- cka_images: linear CKA of images and Z, its channels standardised (Kornblith et al., Similarity of Neural Network
  Representations Revisited, 2019).
- dcor_images: distance correlation of the same two (Szekely, Rizzo, Bakirov, Measuring and Testing Dependence by
  Correlation of Distances, 2007); what NoPeek lowers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from goldcut.cuts import CutGraph, read_cuts
from goldcut.cuts.split import copy_part
from goldcut.records import Kind

Edge = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class JacobianFigures:
    """What the Jacobian J = dZ/dX says, averaged over images.

    Attributes:
        gain: mean tr(J'J) x (variance of an image element) / (total variance of Z): 1 for an isometry of the images,
            indifferent to a scale of Z.
        amplification: mean of sqrt(total variance of Z / |J'v|^2) over unit-variance v: how far the image must move, at
            least, for a typical change of Z in a random direction; likewise indifferent.
        local_rank: (mean tr J'J)^2 / mean tr((J'J)^2).
    """

    gain: float
    amplification: float
    local_rank: float


def jacobian_figures(
    edge: Edge, images: Float[Tensor, "n c h w"], *, probes: int = 1, seed: int = 0, batch: int = 32
) -> JacobianFigures:
    """Hutchinson's estimates from `probes` random sign vectors an image.

    Args:
        edge: Images -> Z, without a connection between the images of a batch.
        images: In [0, 1].
        probes: Random vectors for each image.
        seed: Of the vectors.
        batch: Images at a time.
    """
    noise = torch.Generator().manual_seed(seed)
    traces: list[Tensor] = []
    squares: list[Tensor] = []
    seen: list[Tensor] = []
    with sdpa_kernel(SDPBackend.MATH):
        for part in torch.split(images, batch):
            for probe in range(probes):
                z, trace, square = _probe(edge, part, noise)
                traces.append(trace)
                squares.append(square)
                if probe == 0:
                    seen.append(z)
    trace, square, variance = torch.cat(traces), torch.cat(squares), total_variance(torch.cat(seen))
    pixel_variance = total_variance(images) / images[0].numel()
    return JacobianFigures(
        gain=float(trace.mean()) * pixel_variance / variance,
        amplification=float((variance / trace.clamp_min(1e-30)).sqrt().mean()),
        local_rank=float(trace.mean().square() / square.mean()),
    )


def _probe(edge: Edge, images: Tensor, noise: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Z, and per image |J'v|^2 and |JJ'v|^2 for one vector of random signs; the second by differentiating twice."""
    x = images.detach().requires_grad_()
    z = edge(x)
    signs = torch.randint(0, 2, z.shape, generator=noise).to(z.dtype) * 2 - 1
    u = signs.requires_grad_()
    (pulled,) = torch.autograd.grad(z, x, u, create_graph=True)
    (pushed,) = torch.autograd.grad(pulled, u, pulled.detach())
    return z.detach(), _squares(pulled.detach()), _squares(pushed)


def _squares(rows: Tensor) -> Tensor:
    return rows.flatten(1).double().square().sum(1)


def total_variance(rows: Float[Tensor, "n ..."]) -> float:
    """(1/n) sum of squared distances to the mean."""
    flat = rows.detach().flatten(1).double()
    return float((flat - flat.mean(0)).square().sum(1).mean())


def standardised(z: Float[Tensor, "n ..."], kind: Kind) -> Float[Tensor, "n elements"]:
    """Z over the standard deviation of its channel (maps), feature (vectors) or dimension (tokens), flattened."""
    axis = 1 if kind in ("map", "vector") else z.ndim - 1
    over = [dim for dim in range(z.ndim) if dim != axis]
    spread = z.double().std(over, keepdim=True)
    return (z / torch.where(spread > 0, spread, torch.ones_like(spread))).flatten(1)


def within_share(z: Float[Tensor, "n elements"], labels: Int64[Tensor, " n"]) -> float:
    """Scatter within the classes over all scatter, here for the images themselves."""
    z = z.double()
    parts = [z[labels == label] for label in range(int(labels.max()) + 1)]
    within = sum(float((part - part.mean(0)).square().sum()) for part in parts if len(part))
    return within / float((z - z.mean(0)).square().sum())


def linear_cka(x: Float[Tensor, "n p"], y: Float[Tensor, "n q"]) -> float:
    """Linear CKA in [0, 1]: cosine of the two centred Gram matrices."""
    gram = [(part - part.mean(0)) @ (part - part.mean(0)).T for part in (x.double(), y.double())]
    return _cosine(*gram)


def distance_correlation(x: Float[Tensor, "n p"], y: Float[Tensor, "n q"]) -> float:
    """Distance correlation in [0, 1], the square root taken, Euclidean distances, plug-in."""
    centred = []
    for part in (x.double(), y.double()):
        far = torch.cdist(part, part, compute_mode="donot_use_mm_for_euclid_dist")
        centred.append(far - far.mean(0) - far.mean(1, keepdim=True) + far.mean())
    return math.sqrt(max(0.0, _cosine(*centred)))


def _cosine(a: Tensor, b: Tensor) -> float:
    scale = float(a.norm() * b.norm())
    return float((a * b).sum()) / scale if scale > 0 else 0.0


def candidate_figures(
    graph: CutGraph, names: Sequence[str], images: Float[Tensor, "n c h w"], *, few: int = 128, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Every candidate statistic at every cut.

    Args:
        graph: The traced network.
        names: Cuts, the output too.
        images: Those of the distances and of CKA; the first `few` serve the Jacobian.
        few: Images of the Jacobian.
        seed: Of its random vectors.
    """
    seen: dict[str, Tensor] = {}
    read_cuts(graph, images, names, lambda name, z: seen.__setitem__(name, standardised(z, graph.cut(name).kind)))
    flat = images.flatten(1)
    found: dict[str, dict[str, float]] = {}
    for name in names:
        edge = copy_part(graph.module, source=None, result=graph.node(name)).requires_grad_(False)
        figures = jacobian_figures(edge, images[:few], seed=seed)
        z = seen[name]
        found[name] = {
            "gain": figures.gain,
            "amplification": figures.amplification,
            "local_rank": figures.local_rank,
            "cka_images": linear_cka(flat, z),
            "dcor_images": distance_correlation(flat, z),
        }
    return found
