"""How far a mean over victims, or a ratio of two means, could have come out otherwise (Efron, 1979)."""

import numpy as np
from jaxtyping import Float

RESAMPLES = 1000
_CHUNK = 64


def bootstrap_mean(values: Float[np.ndarray, " n"], *, seed: int) -> tuple[float, float]:
    """95 % percentile limits of the mean.

    Args:
        values: One per victim, finite.
        seed: Seed of the resamples; the same seed and n resample the same victims.
    """
    return bootstrap_ratio(values, np.ones_like(values), seed=seed)


def bootstrap_ratio(
    numerators: Float[np.ndarray, " n"], denominators: Float[np.ndarray, " n"], *, seed: int
) -> tuple[float, float]:
    """95 % percentile limits of mean(numerators) / mean(denominators), both over the same resampled victims.

    Example:
        >>> bootstrap_ratio(np.array([1.0, 2.0]), np.array([2.0, 4.0]), seed=0)
        (0.5, 0.5)
    """
    rng = np.random.default_rng(seed)
    n = len(numerators)
    pairs = np.stack([numerators, denominators], axis=1)
    sums = []
    for start in range(0, RESAMPLES, _CHUNK):
        drawn = rng.integers(n, size=(min(_CHUNK, RESAMPLES - start), n))
        sums.append(pairs[drawn].sum(axis=1))
    above, below = np.concatenate(sums).T
    # A resample in which every victim is the mean image itself says nothing of the ratio.
    low, high = (
        np.quantile(above[below > 0] / below[below > 0], [0.025, 0.975]) if (below > 0).any() else (np.nan, np.nan)
    )
    return float(low), float(high)
