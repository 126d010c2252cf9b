"""Effective rank of Z: in how many directions it varies, from a Gram matrix of some images.

(tr S)^2 / tr(S^2), S the covariance of Z: the participation ratio of its eigenvalues (P. Gao et al.,
"A theory of multineuronal dimensionality, dynamics and measurement", 2017). At most images - 1.
"""

from jaxtyping import Float
from torch import Tensor

BANDS = 4
"""Row bands of the Gram matrix; only its upper half is computed."""


def effective_rank(z: Float[Tensor, "n d"]) -> float | None:
    """(tr S)^2 / tr(S^2) of the covariance S; None when Z does not vary. Centres `z` in place.

    Example:
        >>> import torch
        >>> round(effective_rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 6)
        2.0
    """
    level = z.square().mean().item()
    z -= z.mean(0)
    variance = z.square().mean().item()
    if variance <= 1e-12 * level or variance == 0:
        return None
    z /= variance**0.5
    rows = z if z.shape[0] <= z.shape[1] else z.T
    band = -(-len(rows) // BANDS)
    trace = squares = 0.0
    for start in range(0, len(rows), band):
        block = (rows[start : start + band] @ rows[start:].T).double()
        own = block[:, : len(block)]
        trace += own.diagonal().sum().item()
        squares += own.square().sum().item() + 2 * block[:, len(block) :].square().sum().item()
    return trace**2 / squares
