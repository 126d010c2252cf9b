"""AdamW in which weight matrices step along their orthogonalised momentum.

Jordan et al.: Muon: An optimizer for hidden layers in neural networks, 2024: a step changes all directions of a layer
alike and not only those that its gradients share. Its size, so that AdamW's rate and decay serve both, is that of Liu
et al.: Muon is Scalable for LLM Training, 2025, section 2.2. The one of PyTorch takes neither kernels of convolutions
nor, on a CPU, single precision.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

MOMENTUM = 0.95
ITERATIONS = 3
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration of Jordan et al. They take five; after three a decoder errs as little, in a tenth less time
(docs/benchmarks.md): from 0.02 of the norm on, singular values come to 0.68 to 1.2."""

RMS = 0.2
"""Root mean square of the elements of a step at rate 1, about that of AdamW."""


def orthogonalise(matrices: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n rows columns"]:
    """About U V^T of each matrix U S V^T; zero where it is zero.

    Example:
        >>> torch.linalg.svdvals(orthogonalise(torch.tensor([[[3.0, 0.0], [0.0, 1.0]]]))).round().tolist()
        [[1.0, 1.0]]
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.AdamW):
    """Muon for the weights of layers with two dimensions or more, a kernel counting as one row per output channel.

    Args:
        model: Whose weights are trained; all that is no such weight takes steps of AdamW.
        rate: Of both.
        weight_decay: Of both, decoupled.
    """

    def __init__(self, model: nn.Module, *, rate: float, weight_decay: float) -> None:
        split: dict[bool, list[nn.Parameter]] = {False: [], True: []}
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                split[name.endswith("weight") and weight.ndim > 1].append(weight)
        groups: list[dict[str, Any]] = [{"params": found, "turned": turned} for turned, found in split.items() if found]
        super().__init__(groups, lr=rate, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step from the gradients; those of matrices are used up."""
        assert closure is None
        for group in (one for one in self.param_groups if one["turned"]):
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(weight.shape, []).append(weight)
            for weights in alike.values():
                self._turn(weights, group["lr"], group["weight_decay"])
        super().step()

    def _turn(self, weights: list[nn.Parameter], rate: float, weight_decay: float) -> None:
        pushes = torch.stack([self._push(weight) for weight in weights])
        size = RMS * max(pushes.shape[1:]) ** 0.5
        for weight, way in zip(weights, orthogonalise(pushes), strict=True):
            weight.mul_(1 - rate * weight_decay).add_(way.view(weight.shape), alpha=-rate * size)
            weight.grad = None

    def _push(self, weight: nn.Parameter) -> Tensor:
        assert weight.grad is not None
        state = self.state[weight]
        if not state:  # by the names of AdamW, which reads them back from a checkpoint
            state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(weight))
        state["step"] += 1
        momentum = state["exp_avg"].lerp_(weight.grad, 1 - MOMENTUM)
        return weight.grad.lerp(momentum, MOMENTUM).flatten(1)
