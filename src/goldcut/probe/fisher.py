"""Fisher leakage: how sharply what is sent tells two nearby images apart.

The edge sends f(x) + N, N Gaussian of deviation sigma per element, K times. The Fisher information of x in it is
J'J K / sigma^2, J the Jacobian of f at x, and by the inequality of Cramer and Rao no *unbiased* estimate of the d
pixels has a mean squared error per pixel below

    d / tr(J'J K / sigma^2) = 1 / leakage,    leakage = (1/d) tr(J'J) K / sigma^2

(K. Maeng, C. Guo, S. Kariyappa, G. E. Suh, "Bounding the Invertibility of Privacy-Preserving Instance Encoding using
Fisher Information", 2023, eq. 3). It needs no labels. It is local: it says how well an image is told from its
neighbours, and nothing of an attacker who knows what images look like, whose estimates are biased and may err less.

tr(J'J) = E |J'v|^2 for random signs v, one backward pass each (M. F. Hutchinson, "A Stochastic Estimator of the Trace
of the Influence Matrix for Laplacian Smoothing Splines", 1990).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

PROBES = 8
"""Random signs for each image; the estimate has no bias, whatever their number."""


def jacobian_power(
    edge: Callable[[Tensor], Tensor], images: Float[Tensor, "n c h w"], source: torch.Generator, probes: int = PROBES
) -> Float[Tensor, " n"]:
    """tr(J'J) of each image, estimated.

    Args:
        edge: Images -> what is sent, before noise; each image for itself.
        images: In [0, 1].
        source: Of the signs, on the CPU.
        probes: How many, at least 1.

    Example:
        >>> jacobian_power(lambda x: 3 * x, torch.rand(2, 1, 4, 4), torch.Generator()).tolist()
        [144.0, 144.0]
    """
    leaf = images.detach().clone().requires_grad_()
    with torch.enable_grad():
        sent = edge(leaf).flatten(1)
    total = torch.zeros(len(images), dtype=torch.float64)
    for probe in range(probes):
        signs = torch.randint(2, sent.shape, generator=source).to(sent) * 2 - 1
        (slope,) = torch.autograd.grad(sent, leaf, signs, retain_graph=probe < probes - 1)
        total += slope.flatten(1).double().square().sum(1).cpu()
    return total / probes
