"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment, 2004)."""

from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

WINDOW = 11
"""Window of the original, in pixels: a Gaussian of deviation 1.5."""


def ssim_window(height: int, width: int) -> int:
    """The window for images of this size: 11, or the largest odd number that fits.

    Example:
        >>> ssim_window(32, 32), ssim_window(8, 8)
        (11, 7)
    """
    side = min(height, width, WINDOW)
    return side if side % 2 else side - 1


def ssim_per_image(first: Float[Tensor, "n c h w"], second: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"] | None:
    """Structural similarity of each pair, mean over channels and over the places where the window fits.

    Images in [0, 1], population covariance, K1 = 0.01, K2 = 0.03. A smaller window gets a Gaussian that is
    narrower in proportion. None for images below 3 pixels, where there is no structure to compare.
    """
    window = ssim_window(*first.shape[-2:])
    if window < 3:
        return None
    _, full = structural_similarity_index_measure(
        first.float(),
        second.float(),
        gaussian_kernel=True,
        sigma=1.5 * window / WINDOW,
        reduction="none",
        data_range=1.0,
        return_full_image=True,
    )
    # The library pads by reflection and averages the border too; the original and scikit-image do not.
    edge = window // 2
    inner: Tensor = full[..., edge : full.shape[-2] - edge, edge : full.shape[-1] - edge]
    return inner.double().flatten(1).mean(dim=1)
