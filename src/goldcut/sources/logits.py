"""Which of a model's outputs are the logits."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from goldcut.errors import ModelError

LOGITS_KEYS = ("logits", "out")
"""Where a dict-like output keeps its logits; otherwise its first tensor is taken."""


def choose_logits(output: object) -> Tensor:
    """The logits among a model's outputs: a tensor, `.logits`, a dict's "logits" or "out", else the first tensor.

    Raises:
        ModelError: There is no tensor.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        keys = [key for key in LOGITS_KEYS if key in output] or list(output)
        return choose_logits([output[key] for key in keys])
    logits = getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    if isinstance(output, Sequence) and not isinstance(output, str):
        for item in output:
            if isinstance(item, Tensor | Mapping | list | tuple):
                return choose_logits(item)
    raise ModelError(
        f"the model returns {type(output).__name__}, expected a tensor, or a tuple or dict of tensors",
        "Wrap the model so that forward(x) returns the logits.",
    )
