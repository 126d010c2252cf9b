"""What each figure of an attack means: its direction, its unit and its bounds."""

from dataclasses import dataclass
from math import inf
from typing import Literal

from goldcut.metrics.pixel import PSNR_LIMIT


@dataclass(frozen=True)
class Metric:
    """One figure of the score sheet.

    Attributes:
        name: Name of the field in records.Scores.
        leaks_more: Whether a higher or a lower value means that more of the input leaks.
        unit: Unit; "1" for shares.
        low: Least possible value.
        high: Greatest possible value.
        meaning: One sentence.
    """

    name: str
    leaks_more: Literal["higher", "lower"]
    unit: str
    low: float
    high: float
    meaning: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mse", "lower", "1", 0.0, 1.0, "Mean squared error per element, images in [0, 1]."),
        Metric("mse_channel_sum", "lower", "1", 0.0, inf, "mse times the channels, the paper's unit."),
        Metric("psnr", "higher", "dB", 0.0, PSNR_LIMIT, "10 log10(1 / mse) of the mean mse."),
        Metric("psnr_mean_of_images", "higher", "dB", 0.0, PSNR_LIMIT, "Mean over victims of 10 log10(1 / mse)."),
        Metric("cosine", "higher", "1", -1.0, 1.0, "Mean cosine of both images, each less its own mean."),
        Metric("ssim", "higher", "1", -1.0, 1.0, "Mean structural similarity, Gaussian window."),
        Metric("recovered", "higher", "1", -inf, 1.0, "1 - MSE / MSE of the attacker's mean image."),
        Metric("recovered_own_mean", "higher", "1", -inf, 1.0, "1 - MSE / MSE of the victims' own mean image."),
        Metric("recovered_full_size", "higher", "1", -inf, 1.0, "recovered at the model's own image size."),
        Metric("beyond_label", "higher", "1", -inf, 1.0, "1 - MSE / MSE of the predicted label's mean image."),
        Metric(
            "identification", "higher", "1", 0.0, 1.0, "Share of victims found among 20 of their label; chance 1/20."
        ),
        Metric("agreement", "higher", "1", 0.0, 1.0, "Share in which an independent classifier sees the same class."),
        Metric("lpips", "lower", "1", 0.0, inf, "Mean LPIPS (AlexNet), images below 64 pixels enlarged to 64."),
        Metric("identity_cosine", "higher", "1", -1.0, 1.0, "Mean cosine of an embedder's outputs."),
    )
}
"""Every figure by its field name; `_low` and `_high` share the entry of their figure."""
