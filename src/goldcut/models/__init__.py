"""Networks that no library has, by the name that `goldcut:NAME` accepts."""

from torch import nn

from goldcut.models.cnn4 import CNN4

NAMED: dict[str, tuple[type[nn.Module], tuple[int, int, int]]] = {"cnn4": (CNN4, (1, 28, 28))}
"""Each is built with `channels` and `classes`, for images of the shape (C, H, W) unless another is asked for."""
