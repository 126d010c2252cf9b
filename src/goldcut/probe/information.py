"""Upper bounds on what a noisy Z can tell of the input, and the paper's entropy expressions, in nats.

The entropy H(X|Z) of a deterministic network is degenerate, so noise is always named: Z + N with N
Gaussian of deviation sigma per element, sigma = rho sqrt(total_variance / D). The bounds are the
maximum-entropy property of the Gaussian (T. M. Cover, J. A. Thomas, "Elements of Information
Theory", 2nd ed. 2006, theorem 8.6.5) applied to all images and to each class; docs/method derives
them. The paper's expressions: R. Liu et al., "Partitioning for Intrinsic Model Inversion Resistance
in Collaborative Inference" (ICML 2026).
"""

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from goldcut.records import InformationBound

NOISE_LEVELS = (0.01, 0.1, 1.0)
"""Deviations of the noise, in units of the root mean variance per element."""


def information_bound(
    total_variance: float,
    radii_sq: Float[ndarray, " classes"],
    shares: Float[ndarray, " classes"],
    elements: int,
    rho: float,
) -> InformationBound:
    """Both bounds on I(X; Z+N) at one noise level.

    Args:
        total_variance: Mean squared distance to the overall mean, above 0.
        radii_sq: R_c^2 of every class.
        shares: p_c of every class, summing to 1; classes without images count 0.
        elements: Number of elements D of Z.
        rho: Deviation of the noise in units of sqrt(total_variance / D).

    Example:
        >>> bound = information_bound(4.0, np.array([1.0, 1.0]), np.array([0.5, 0.5]), elements=4, rho=1.0)
        >>> round(bound.global_nats, 4), round(bound.class_nats, 4)
        (1.3863, 1.1394)
    """
    sigma_sq = rho**2 * total_variance / elements
    everything = elements / 2 * math.log1p(1 / rho**2)
    conditional = float(shares @ (elements / 2 * np.log1p(radii_sq / (elements * sigma_sq))))
    by_class = label_entropy(shares) + conditional
    return InformationBound(
        rho=rho,
        sigma=math.sqrt(sigma_sq),
        global_nats=everything,
        class_nats=by_class,
        conditional_nats=conditional,
        relative_gap=1 - by_class / everything,
    )


def label_entropy(shares: Float[ndarray, " classes"]) -> float:
    """H(Y) in nats.

    Example:
        >>> round(label_entropy(np.array([0.5, 0.5, 0.0])), 4)
        0.6931
    """
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


def paper_global_entropy(total_variance: float, elements: int) -> float | None:
    """The paper's h(Z) <= (D/2) ln(2 pi e total_variance / D); None for a constant Z.

    It moves by D ln a when Z is scaled by a, while what an attacker can learn does not.
    """
    return elements / 2 * math.log(2 * math.pi * math.e * total_variance / elements) if total_variance > 0 else None


def paper_class_entropy(
    radii_sq: Float[ndarray, " classes"], shares: Float[ndarray, " classes"], elements: int
) -> float | None:
    """The paper's sum_c p_c h(Z | Y=c) <= sum_c p_c (D/2) ln(2 pi e R_c^2 / D); None if a class has radius 0."""
    present = shares > 0
    if not bool((radii_sq[present] > 0).all()):
        return None
    logs = np.log(2 * math.pi * math.e * radii_sq[present] / elements)
    return float(shares[present] @ (elements / 2 * logs))
