"""Weights averaged over the last steps: what a lower rate would gain, while the rate stays high.

Polyak, Juditsky: Acceleration of Stochastic Approximation by Averaging, 1992; with weights that forget the start, as
Karras et al.: Analyzing and Improving the Training Dynamics of Diffusion Models, 2024, section 3.1.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

SHARE = 0.1
"""The steps that count are about the last tenth of those since the rate was lowered."""


class Average:
    """A running average of a model's weights; buffers are those of the last step.

    Args:
        state: Where it starts.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = {name: tensor.clone() for name, tensor in state.items()}

    def add(self, model: nn.Module, step: int) -> None:
        """Count the weights after a step.

        Args:
            model: As it is trained.
            step: How many have been counted since the average was begun, this one included.
        """
        weights = {name for name, _ in model.named_parameters()}
        share = min(1.0, 1 / (SHARE * step))
        for name, value in model.state_dict().items():
            if name in weights:
                self.state[name].lerp_(value, share)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def inside(self, model: nn.Module) -> Iterator[None]:
        """The model with the average for its weights, as long as it is inside."""
        trained = {name: value.clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.state)
        try:
            yield
        finally:
            model.load_state_dict(trained)
