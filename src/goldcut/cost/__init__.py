"""What a cut costs: parameters and FLOPs of each half, bytes and time on a link, time and memory on this machine."""

from goldcut.cost.flops import price_cuts
from goldcut.cost.link import LINKS, Link, transfer_seconds
from goldcut.cost.measure import MeasuredCut, measure_cut

__all__ = ["LINKS", "Link", "MeasuredCut", "measure_cut", "price_cuts", "transfer_seconds"]
