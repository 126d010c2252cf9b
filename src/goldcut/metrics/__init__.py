"""How near a reconstruction is to its original: pure functions of images, with intervals over victims."""

from goldcut.metrics.bootstrap import bootstrap_mean, bootstrap_ratio
from goldcut.metrics.identification import CANDIDATES, identification_per_victim
from goldcut.metrics.pixel import cosine_per_image, mse_per_image, psnr, psnr_per_image_mean
from goldcut.metrics.structure import ssim_per_image, ssim_window
from goldcut.metrics.table import METRICS, Metric

__all__ = [
    "CANDIDATES",
    "METRICS",
    "Metric",
    "bootstrap_mean",
    "bootstrap_ratio",
    "cosine_per_image",
    "identification_per_victim",
    "mse_per_image",
    "psnr",
    "psnr_per_image_mean",
    "ssim_per_image",
    "ssim_window",
]
