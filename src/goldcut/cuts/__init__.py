"""Where a model can be cut, its two halves at a cut, and reading Z at many cuts in one pass."""

from goldcut.cuts.graph import CutGraph, find_cuts
from goldcut.cuts.split import Split, split_at, verify_split
from goldcut.cuts.taps import read_cuts

__all__ = ["CutGraph", "Split", "find_cuts", "read_cuts", "split_at", "verify_split"]
