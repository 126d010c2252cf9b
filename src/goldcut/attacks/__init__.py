"""The independent check of the zone: attacks that invert Z at each cut, calibrated by what needs no attack at all."""

from goldcut.attacks.base import Attack, Inverse, Sample, View
from goldcut.attacks.decoder import Decoder
from goldcut.attacks.evaluate import attack_cuts
from goldcut.attacks.leakage import Leakage, write_gallery
from goldcut.attacks.ridge import Ridge
from goldcut.attacks.suite import ATTACKS, SETS, choose_attacks

__all__ = [
    "ATTACKS",
    "SETS",
    "Attack",
    "Decoder",
    "Inverse",
    "Leakage",
    "Ridge",
    "Sample",
    "View",
    "attack_cuts",
    "choose_attacks",
    "write_gallery",
]
