"""Radii and shares of a cut as pure functions of counts and scatters, with jackknife limits.

Every input has the axis `views` first: row 0 is all images, row 1 + f all but fold f. So one call
gives a figure and everything its interval needs.

Definitions: R_c^2 after R. Liu et al., "Partitioning for Intrinsic Model Inversion Resistance in
Collaborative Inference" (ICML 2026). Jackknife: B. Efron, C. Stein, "The Jackknife Estimate of
Variance" (1981), grouped.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

FOLDS = 10
"""Folds of the jackknife."""

STUDENT_975 = 2.2621571628
"""The 97.5 % point of Student's t with FOLDS - 1 degrees of freedom."""

CONSTANT = 1e-6
"""A channel varies when its deviation exceeds this part of its size; below is float32 rounding."""


@dataclass(frozen=True)
class Scatter:
    """What one pass leaves of a cut: within-class and total scatter, for all images and without each fold.

    Attributes:
        class_count: Images of each class.
        class_within: sum over the class of |z - mu_c|^2.
        channel_within: The same for all classes together, per channel.
        channel_total: sum over all images of |z - mu|^2, per channel.
        channel_level: Per channel, |mu|^2 of the overall mean: what rounding is measured by.
    """

    class_count: Float[Tensor, "views classes"]
    class_within: Float[Tensor, "views classes"]
    channel_within: Float[Tensor, "views channels"]
    channel_total: Float[Tensor, "views channels"]
    channel_level: Float[Tensor, " channels"]

    @property
    def count(self) -> Float[Tensor, " views"]:
        """Images."""
        return self.class_count.sum(1)

    @property
    def varies(self) -> bool:
        """Whether Z differs between images by more than rounding."""
        return bool(self._varying.any())

    @property
    def _varying(self) -> Tensor:
        noise = CONSTANT**2 * self.count[0] * self.channel_level
        return self.channel_total[0] > noise

    def radius_sq(self) -> Float[Tensor, " views"]:
        """R_c^2 averaged over the classes that have at least two images; nan where there is none."""
        return mean_radius_sq(self.class_count, self.class_within)

    def total_variance(self) -> Float[Tensor, " views"]:
        """Mean squared distance to the overall mean."""
        return self.channel_total.sum(1) / self.count.clamp(min=1)

    def within_share(self) -> Float[Tensor, " views"]:
        """Within-class scatter over total scatter; 0 when Z does not vary at all."""
        return (
            _share(self.channel_within.sum(1), self.channel_total.sum(1))
            if self.varies
            else torch.zeros_like(self.count)
        )

    def within_share_standardised(self) -> Float[Tensor, " views"]:
        """The share after dividing each channel by its standard deviation: the mean share of the channels that vary."""
        if not self.varies:
            return torch.zeros_like(self.count)
        return _share(self.channel_within[:, self._varying], self.channel_total[:, self._varying]).mean(1)


def mean_radius_sq(
    count: Float[Tensor, "views classes"], within: Float[Tensor, "views classes"], fewest: int = 2
) -> Float[Tensor, " views"]:
    """Unweighted mean over classes of within / count, over the classes with at least `fewest` images.

    Example:
        >>> mean_radius_sq(torch.tensor([[2.0, 4.0, 1.0]]), torch.tensor([[6.0, 4.0, 0.0]]))
        tensor([2.])
    """
    counted = count >= fewest
    radii = torch.where(counted, within / count.clamp(min=1), 0.0)
    return radii.sum(1) / counted.sum(1)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % limits; None where folds are missing."""

    value: float
    low: float | None
    high: float | None


def jackknife(values: Float[Tensor, " views"], lowest: float = 0.0, highest: float = math.inf) -> Estimate:
    """The figure of all images and its 95 % limits from leaving out one fold at a time.

    value -+ t se with se^2 = (g - 1) / g sum_f (v_f - mean v)^2 over g folds and t of Student's
    distribution with g - 1 degrees of freedom, clipped to what the figure can be.

    Args:
        values: The figure from all images, then without each of FOLDS folds.
        lowest: The least the figure can be.
        highest: The most the figure can be.

    Example:
        >>> jackknife(torch.tensor([2.0] + [2.0] * 10)).high
        2.0
    """
    value, left_out = values[0].item(), values[1:]
    if len(left_out) != FOLDS or not bool(left_out.isfinite().all()):
        return Estimate(value, None, None)
    spread = (left_out - left_out.mean()).square().sum() * (FOLDS - 1) / FOLDS
    half = STUDENT_975 * spread.sqrt().item()
    return Estimate(value, max(lowest, value - half), min(highest, value + half))


def _share(within: Tensor, total: Tensor) -> Tensor:
    return torch.where(total > 0, within / total.clamp(min=torch.finfo(total.dtype).tiny), 0.0).clamp(0, 1)
