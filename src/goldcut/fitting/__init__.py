"""The one training loop, with its stopping rule, its checkpoints and its exact resumption."""

from goldcut.fitting.course import Fitted, Settings, gain_since, is_converged
from goldcut.fitting.loop import batch_index, build_optimiser, fit

__all__ = ["Fitted", "Settings", "batch_index", "build_optimiser", "fit", "gain_since", "is_converged"]
