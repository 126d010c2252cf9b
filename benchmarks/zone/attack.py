"""Attack a target where the post hoc rule looks: both ends, and by bisection the cuts around the transition.

What is recovered cannot rise from one cut to the next but for the attacker's weakness, so a cut above the level has all
cuts before it above. The closed form alone settles a cut that it already lifts above the level; else the decoder is
trained. The work is in goldcut's own attack.json, so the same call again goes on from there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from goldcut.attacks import Attack, Decoder
from goldcut.attacks.ridge import Ridge
from goldcut.fitting.loop import Settings
from goldcut.progress import Progress, silent
from goldcut.records import AttackRecord, ScanRecord, Worst
from goldcut.sources.images import Pack
from goldcut.sources.models import Target
from goldcut.study.attack import attack

ATTACKER_IMAGES = 4000
VICTIMS = 1000
DECODER = Decoder("S", Settings(max_steps=5000, batch=32))
"""The decoder S of the suite, on batches of 32: a step costs half, and few images are flat sooner."""


def few_images(pack: Pack, count: int = ATTACKER_IMAGES) -> Pack:
    """The pack with the attacker's first images only."""
    assert pack.attacker is not None
    return replace(pack, attacker=pack.attacker.subset(range(min(count, len(pack.attacker))), pack.attacker.part))


@dataclass(frozen=True, eq=False)
class Bench:
    """A scanned target with its attackers.

    Attributes:
        target: The network.
        pack: Its images, the attacker's already fewer.
        folder: Run folder that holds the scan.
        names: The block-level cuts in order, "output" last.
    """

    target: Target
    pack: Pack
    folder: Path
    names: tuple[str, ...]
    progress: Progress = silent

    def attack(self, index: int, attacks: Sequence[Attack]) -> AttackRecord:
        """Carry out attacks at one cut; what is done already is read."""
        return attack(
            self.target,
            self.pack,
            out=self.folder,
            cuts=self.names[index],
            attacks=attacks,
            victims=VICTIMS,
            aux_seen="yes",
            progress=self.progress,
        )

    def worst(self, index: int, attacks: Sequence[Attack]) -> Worst:
        """The strongest of all attacks at a cut so far, after these."""
        record = self.attack(index, attacks)
        return next(one for one in record.worst if one.cut == self.names[index])


def attack_target(target: Target, pack: Pack, scan: ScanRecord, folder: Path, progress: Progress = silent) -> None:
    """Attack both ends and the cuts around the half and the quarter level.

    Args:
        target: The network.
        pack: All its images.
        scan: Its scan with true labels.
        folder: Run folder of that scan.
        progress: Told what is done.
    """
    bench = Bench(target, few_images(pack), folder, tuple(row.name for row in scan.cuts), progress)
    first = bench.attack(0, [Ridge()])
    assert first.baselines.class_mean is not None
    r_1, m = first.worst[0].recovered, first.baselines.class_mean.recovered
    output = len(bench.names) - 1
    bench.worst(output, [Ridge(), DECODER])
    bench.worst(output - 1, [Ridge(), DECODER])
    for share in (0.5, 0.25):
        above = partial(is_above, bench, level=m + share * (r_1 - m), safe=m + share * (1 - m))
        start = bisect(output, above)
        for index in {max(1, start - 1), min(start, output - 1)}:
            bench.worst(index, [Ridge(), DECODER])


def is_above(bench: Bench, index: int, *, level: float, safe: float) -> bool:
    """Whether the attacks recover more than a level at a cut.

    Args:
        bench: The target.
        index: Of the cut.
        level: The level of the post hoc rule.
        safe: The same if everything were recovered at the first cut: the closed form above it settles the cut.
    """
    if index == 0:
        return True
    if bench.worst(index, [Ridge()]).recovered > safe:
        return True
    return bench.worst(index, [Ridge(), DECODER]).recovered > level


def bisect(count: int, above: Callable[[int], bool]) -> int:
    """First index of 0..count-1 that is not above, `count` when all are; `above` falls once from true to false.

    The last index is asked first.

    Example:
        >>> bisect(8, lambda index: index < 5)
        5
    """
    if above(count - 1):
        return count
    low, high = -1, count - 1
    while high - low > 1:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if above(middle) else (low, middle)
    return high
