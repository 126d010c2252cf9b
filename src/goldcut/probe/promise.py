"""A bound on what any attacker can learn from a noisy Z, from data it was not fitted to.

The edge sends Z + N, Z clipped to a norm and N Gaussian of deviation sigma per element, K times for the same input:
that is worth one release with sigma^2 / K. The Gaussian has the largest entropy of all distributions of a variance,
so I(X; Z+N) is at most

    (1/2) [sum_i log2(1 + v_i / s^2) + (D - k) log2(1 + r / ((D - k) s^2))],   s^2 = sigma^2 / K,

with v_i the variances along k orthonormal directions and r the variance in all others (T. M. Cover, J. A. Thomas,
"Elements of Information Theory", 2nd ed. 2006, theorems 8.6.2 and 8.6.5, and Jensen's inequality; k = 0 is the bound
by the trace). The bound rises with each v_i and with r, so upper limits of them give an upper limit of it. The
directions come from one half of the images and the limits from the other, by the empirical Bernstein inequality
(A. Maurer, M. Pontil, "Empirical Bernstein Bounds and Sample Variance Penalization", 2009, theorem 4): a plug-in
from n << D images would understate. Within classes the same holds with the pooled scatter around class centres,
since the logarithm is concave; that bounds I(X; Z+N | Y).

Fano's inequality turns bits into odds: an attacker who has M images of one class, drawn like those of the audit, and
is to say which one was sent, is wrong with a probability Pe of at least the root of
log2 M - h2(Pe) - Pe log2(M - 1) = I(X; Z+N | Y) (Cover, Thomas, theorem 2.10.1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

FAILURE = 0.01
"""Probability that any of the upper limits is too low."""

DIRECTIONS = 64
"""Directions of largest variance that are looked at one by one."""

SAMPLED = 1000
"""Images that the directions come from."""

LONGEST = 2**60
"""Times the root mean square of Z at which the search for a noise gives up."""


@dataclass(frozen=True, eq=False)
class Basis:
    """Directions and centres found on one half of the images.

    Attributes:
        centres: Row 0 is the mean of all, row 1 + c that of class c.
        whole: (D, k) orthonormal directions of largest variance, largest first.
        within: The same for the scatter around the class centres.
    """

    centres: Float[Tensor, "rows d"]
    whole: Float[Tensor, "d k"]
    within: Float[Tensor, "d k"]


@dataclass(frozen=True)
class Spread:
    """Upper limits of the variance of Z, all at once with probability 1 - FAILURE.

    Attributes:
        elements: D.
        along: Limit of the variance along each direction.
        rest: Limit of the variance in all other directions after the first k, k from 0 to all of them.
        images: Behind the limits.
    """

    elements: int
    along: tuple[float, ...]
    rest: tuple[float, ...]
    images: int


def clip_norm(z: Float[Tensor, " n *shape"], norm: float) -> Float[Tensor, " n *shape"]:
    """Z scaled down to a Euclidean norm where it is longer.

    Example:
        >>> clip_norm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 1.0).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.30000001192092896, 0.4000000059604645]]
    """
    length = torch.linalg.vector_norm(z.flatten(1), dim=1).clamp(min=torch.finfo(z.dtype).tiny)
    factor = (norm / length).clamp(max=1)
    clipped: Tensor = z * factor.view(-1, *[1] * (z.dim() - 1))
    return clipped


def find_basis(z: Float[Tensor, "n d"], labels: Int[Tensor, " n"], n_classes: int) -> Basis:
    """Centres and directions of one half of the images.

    Args:
        z: Clipped Z, flattened.
        labels: Class of each.
        n_classes: Number of classes; the centre of a class without images is the mean of all.
    """
    mean = z.mean(0)
    sums = torch.zeros(n_classes, z.shape[1]).index_add_(0, labels, z - mean)
    counts = torch.bincount(labels, minlength=n_classes)
    own = mean + sums / counts.clamp(min=1)[:, None]
    return Basis(torch.cat([mean[None], own]), _directions(z - mean), _directions(z - own[labels]))


def _directions(deviation: Float[Tensor, "n d"]) -> Float[Tensor, "d k"]:
    """Orthonormal directions of largest variance of at most SAMPLED rows; fewer where they do not span as many."""
    rows = deviation[:SAMPLED].double()
    powers, mixes = torch.linalg.eigh(rows @ rows.T)
    held = (powers > powers[-1] * 1e-8).nonzero()[-DIRECTIONS:].flatten().flip(0)
    directions, _ = torch.linalg.qr(rows.T @ mixes[:, held])
    leading: Tensor = directions.float()
    return leading


def measure_spread(
    z: Float[Tensor, "n d"],
    centres: Float[Tensor, "n d"] | Float[Tensor, " d"],
    directions: Float[Tensor, "d k"],
    norm: float,
) -> Spread:
    """Upper limits of the variances, on images that the directions and centres do not come from.

    Args:
        z: Z clipped to `norm`, flattened; n > 1.
        centres: What each is measured from; of norm at most `norm`.
        directions: Orthonormal.
        norm: The longest Z.
    """
    deviation = (z - centres).double()
    along = (deviation @ directions.double()).square()
    whole = deviation.square().sum(1, keepdim=True)
    rest = (whole - torch.cat([torch.zeros_like(whole), along.cumsum(1)], dim=1)).clamp(min=0)
    largest = (2 * norm) ** 2
    failure = FAILURE / (2 * directions.shape[1] + 1)
    return Spread(
        elements=z.shape[1],
        along=tuple(upper_limit(along, largest, failure).tolist()),
        rest=tuple(upper_limit(rest, largest, failure).tolist()),
        images=len(z),
    )


def upper_limit(values: Float[Tensor, "n k"], largest: float, failure: float) -> Float[Tensor, " k"]:
    """What the means of independent values in [0, largest] exceed with probability `failure` at most, each.

    Maurer and Pontil (2009), theorem 4.
    """
    n = len(values)
    logarithm = math.log(2 / failure)
    slack = (2 * values.var(0) * logarithm / n).sqrt() + 7 * largest * logarithm / (3 * (n - 1))
    return (values.mean(0) + slack).clamp(max=largest)


def bits(spread: Spread, sigma: float, releases: int = 1) -> float:
    """The bound on the mutual information in bits, by the number of directions that makes it smallest.

    Args:
        spread: Upper limits of the variances.
        sigma: Deviation of the noise per element, above 0.
        releases: How often the same input is sent with noise of its own.

    Example:
        >>> bits(Spread(2, (3.0,), (4.0, 1.0), 100), 1.0)
        1.5
    """
    power = sigma**2 / releases
    best, single = math.inf, 0.0
    for k, rest in enumerate(spread.rest):
        others = spread.elements - k
        single += math.log2(1 + spread.along[k - 1] / power) if k else 0.0
        tail = others * math.log1p(rest / (others * power)) / math.log(2) if others else 0.0
        best = min(best, (single + tail) / 2)
    return best


def odds(known_bits: float, gallery: int, *, entropy: float | None = None) -> float:
    """At most how often an attacker picks the right one of `gallery` images or classes, by Fano's inequality.

    Args:
        known_bits: What is known of which it is.
        gallery: How many there are, at least 2.
        entropy: Bits of which it is; all are equally likely when None.

    Example:
        >>> odds(0.0, 1000), odds(20.0, 1000)
        (0.001, 1.0)
    """
    need = (math.log2(gallery) if entropy is None else entropy) - known_bits
    if need <= 0:
        return 1.0
    low, high = 0.0, 1 - 1 / gallery
    if known_bits <= 0 and entropy is None:
        return 1 / gallery
    for _ in range(100):
        wrong = (low + high) / 2
        low, high = (wrong, high) if _ambiguity(wrong, gallery) < need else (low, wrong)
    return 1 - low


def entropy_of(labels: Int[Tensor, " n"]) -> float:
    """Bits of a label, by the shares in which they come.

    Example:
        >>> entropy_of(torch.tensor([0, 1, 0, 1])), entropy_of(torch.tensor([2, 2]))
        (1.0, 0.0)
    """
    shares = torch.bincount(labels)[torch.bincount(labels) > 0].double() / len(labels)
    return -float((shares * shares.log2()).sum()) + 0.0


def bits_for(wanted_odds: float, gallery: int) -> float:
    """The most bits with which the odds are kept.

    Example:
        >>> round(odds(bits_for(0.2, 1000), 1000), 6)
        0.2
    """
    return math.log2(gallery) - _ambiguity(1 - wanted_odds, gallery)


def _ambiguity(wrong: float, gallery: int) -> float:
    """Bits that are still open when the answer is wrong with this probability: h2(Pe) + Pe log2(M - 1)."""
    h2 = -sum(p * math.log2(p) for p in (wrong, 1 - wrong) if p > 0)
    return h2 + wrong * math.log2(gallery - 1)


def find_sigma(spreads: Sequence[Spread], most_bits: float, releases: int = 1) -> float:
    """The least noise per element with which no bound is above `most_bits`.

    Args:
        spreads: All of them are kept below.
        most_bits: Above 0.
        releases: How often the same input is sent.
    """
    scale = math.sqrt(max(spread.rest[0] for spread in spreads) / min(spread.elements for spread in spreads))
    low, high = scale / LONGEST, scale
    while max(bits(spread, high, releases) for spread in spreads) > most_bits and high < scale * LONGEST:
        low, high = high, 2 * high
    for _ in range(60):
        middle = math.sqrt(low * high)
        kept = max(bits(spread, middle, releases) for spread in spreads) <= most_bits
        low, high = (low, middle) if kept else (middle, high)
    return high
