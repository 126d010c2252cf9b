"""LPIPS: how far apart two images look to a network that was trained on photographs.

R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (2018), equation 1, with
AlexNet: torchmetrics' implementation and linear weights, torchvision's weights of AlexNet.
"""

import hashlib
from pathlib import Path
from urllib.error import URLError

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from goldcut.errors import ModelError
from goldcut.metrics.witness import Witness

LEAST_SIDE = 64
"""Smaller images are enlarged to it: AlexNet halves an image four times."""


def load_lpips(device: str = "cpu") -> Witness:
    """The witness that says `lpips`; 0 for equal images, and the more the less alike they look.

    Args:
        device: Where it computes.

    Raises:
        ModelError: The weights of AlexNet are neither on the disk nor can they be fetched.
    """
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
    from torchvision.models import AlexNet_Weights

    kept = Path(torch.hub.get_dir()) / "checkpoints" / AlexNet_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1]
    try:
        network = LearnedPerceptualImagePatchSimilarity(net_type="alex").net.to(device)
    except (URLError, OSError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"LPIPS needs the weights of AlexNet, which are not at {kept} and cannot be fetched: {first}",
            "Put torchvision's file there, or leave --lpips out.",
        ) from error

    def compare(made: Float[Tensor, "b c h w"], images: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        found: Tensor = network(_seen(made, device), _seen(images, device), normalize=True).flatten()
        return found

    return Witness("lpips", compare, hashlib.sha256(kept.read_bytes()).hexdigest())


def _seen(images: Float[Tensor, "b c h w"], device: str) -> Float[Tensor, "b 3 h_seen w_seen"]:
    """Images as AlexNet takes them: three channels, and large enough."""
    colours = images if images.shape[1] == 3 else images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    times = LEAST_SIDE / min(colours.shape[2:])
    if times > 1:
        size = [round(times * side) for side in colours.shape[2:]]
        colours = functional.interpolate(colours, size, mode="bilinear")
    return colours.clamp(0, 1).to(device)
