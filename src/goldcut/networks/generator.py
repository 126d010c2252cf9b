"""A small generative model of images: a latent vector of normal numbers becomes an image.

Kingma, Welling: Auto-Encoding Variational Bayes, 2014. Its noise is not a setting: Rybkin, Daniilidis, Levine:
Simple and Effective VAE Training with Calibrated Decoders, 2021, eq. 6, take the variance that explains the errors
best, which is their mean square, so that no weight between picture and prior has to be found.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from goldcut.networks.decoders import ImageDecoder, Size, build_decoder, seeded_weights
from goldcut.networks.trunk import GROUPS, ladder_grids, ladder_widths

ROUNDING = 1.0 / 12 / 255**2
"""Mean squared error of rounding to 8 bits: a generator that errs less than this has learned the rounding."""


class ImageVAE(nn.Module):
    """An encoder to the mean and the variance of a latent vector, and the decoder that every cut's attack uses.

    Args:
        encoder: From images to (b, 2 latent).
        decoder: From latent vectors to images.
        latent: Length of a latent vector.
    """

    def __init__(self, encoder: nn.Module, decoder: ImageDecoder, latent: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent = latent

    def encode(self, images: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b latent"], Float[Tensor, "b latent"]]:
        """Mean and log-variance of the latent vectors that may have made images in [0, 1]."""
        mean, log_variance = self.encoder(images - 0.5).chunk(2, dim=1)
        return mean, log_variance

    def forward(self, latents: Float[Tensor, "b latent"]) -> Float[Tensor, "b c h w"]:
        """Images in (0, 1)."""
        images: Tensor = self.decoder(latents)
        return images

    def loss(self, images: Float[Tensor, "b c h w"], noise: torch.Generator) -> Float[Tensor, ""]:
        """The negative evidence lower bound per image in nats, up to a constant, with the best variance of all."""
        mean, log_variance = self.encode(images)
        drawn = torch.randn(mean.shape, generator=noise).to(mean.device)
        made = self(mean + (log_variance / 2).exp() * drawn)
        error = (made - images).square().mean()
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean() / 2
        bound: Tensor = images[0].numel() / 2 * (error + ROUNDING).log() + divergence
        return bound


def build_generator(image_shape: tuple[int, int, int], latent: int, size: Size, *, seed: int) -> ImageVAE:
    """An untrained generator of images, its weights drawn from `seed`.

    Args:
        image_shape: (C, H, W) of the images; any channel count, any size from 2 pixels on.
        latent: Length of a latent vector.
        size: Width and depth of the decoder; the encoder has one convolution where the decoder has a rung.
        seed: Seed of the initial weights; the global generator is left as it was.

    Example:
        >>> from goldcut.networks.decoders import SIZES
        >>> generator = build_generator((3, 30, 30), 64, SIZES["XS"], seed=0)
        >>> generator(torch.zeros(2, 64)).shape
        torch.Size([2, 3, 30, 30])
    """
    decoder = build_decoder((latent,), "vector", image_shape, size, seed=seed)
    widths = (image_shape[0], *reversed(ladder_widths(size.width)))
    height, width = ladder_grids(image_shape)[0]
    with seeded_weights(seed):
        steps = [_Halve(before, after) for before, after in pairwise(widths)]
        encoder = nn.Sequential(*steps, nn.Flatten(), nn.Linear(widths[-1] * height * width, 2 * latent))
    return ImageVAE(encoder, decoder, latent)


class _Halve(nn.Sequential):
    """A strided convolution to half the grid, rounded up as the decoder's ladder is."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(GROUPS, after), nn.ReLU())
