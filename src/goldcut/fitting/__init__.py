"""The one training loop, with its stopping rule, its checkpoints and its exact resumption."""

from goldcut.fitting.loop import Fitted, Settings, fit, is_converged

__all__ = ["Fitted", "Settings", "fit", "is_converged"]
