"""Attack a target where the post hoc rule looks: both ends, and by bisection the cuts around the transition.

What is recovered cannot rise from one cut to the next but for the attacker's weakness, so a cut above the level has all
cuts before it above. The closed form alone settles a cut that it already lifts above the level; else the decoder is
trained. The work is in goldcut's own attack.json, so the same call again goes on from there.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from goldcut.attacks import Attack, Decoder
from goldcut.attacks.ridge import Ridge
from goldcut.attacks.stack import Stack
from goldcut.fitting import Settings
from goldcut.progress import Progress, silent
from goldcut.records import AttackRecord, ScanRecord
from goldcut.sources.images import Pack
from goldcut.sources.models import Target
from goldcut.study.attack import attack

ATTACKER_IMAGES = 4000
VICTIMS = 1000
DECODER = Decoder("XS", Settings(max_steps=3000, batch=32, round_steps=50))
"""A small decoder on batches of 32, scored every 50 steps so that it is soon seen to be flat: a minute of a core."""

STRONGER = Decoder("S", Settings(max_steps=6000, batch=32))
"""The next size, at the two cuts that decide and at the last: whether a stronger attacker moves the zone."""


def few_images(pack: Pack, count: int = ATTACKER_IMAGES) -> Pack:
    """The pack with the attacker's first images only."""
    assert pack.attacker is not None
    return replace(pack, attacker=pack.attacker.subset(range(min(count, len(pack.attacker))), pack.attacker.part))


EVERY = 3
SHARE = 0.5
"""Of the first cut's lead over the class mean: the level of post_hoc_half."""


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

    @classmethod
    def of(cls, target: Target, pack: Pack, scan: ScanRecord, folder: Path) -> "Bench":
        """A target with all its images, and its scan with true labels in the run folder."""
        return cls(target, few_images(pack), folder, tuple(row.name for row in scan.cuts))

    def attack(self, indices: Collection[int], attacks: Sequence[Attack]) -> AttackRecord:
        """Carry out attacks at cuts in one pass; what is done already is read."""
        return attack(
            self.target,
            self.pack,
            out=self.folder,
            cuts=",".join(self.names[index] for index in indices),
            attacks=attacks,
            victims=VICTIMS,
            aux_seen="yes",
            progress=self.progress,
        )

    def decode(self, indices: Collection[int], decoder: Attack = DECODER) -> AttackRecord:
        """Train the decoder at cuts too."""
        return self.attack(indices, [Ridge(), decoder])

    def worst(self, record: AttackRecord, index: int) -> float:
        """What the strongest attack so far recovers at a cut."""
        return next(one.recovered for one in record.worst if one.cut == self.names[index])


def attack_target(bench: Bench) -> None:
    """Attack every third cut in closed form, and more by bisection, with the decoder where the closed form is below.

    The decoder is trained at the last cut before the output, at the cuts around the half level that the closed form
    does not settle, and at the output where even the last cut is above.

    Args:
        bench: The target.
    """
    output = len(bench.names) - 1
    linear = bench.attack({*range(0, output, EVERY), output - 1, output}, [Ridge()])
    assert linear.baselines.class_mean is not None
    r_1, m = bench.worst(linear, 0), linear.baselines.class_mean.recovered
    bench.decode([output - 1])
    above = partial(is_above, bench, level=m + SHARE * (r_1 - m), safe=m + SHARE * (1 - m))
    if bisect(output, above) == output:
        bench.decode([output])


def attack_harder(bench: Bench) -> None:
    """Attack the cuts that decide, the last before the half zone and its first, with the larger decoder.

    Args:
        bench: The target, attacked already.
    """
    zone = bench.attack([0], [Ridge()]).zone_post_hoc
    start = len(bench.names) - 1 if zone.first is None else bench.names.index(zone.first)
    bench.decode([index for index in (start - 1, start) if index > 0], STRONGER)


def attack_together(bench: Bench) -> None:
    """Weigh the closed form and the decoders together wherever a decoder was trained.

    Args:
        bench: The target, attacked already.
    """
    done = {(one.cut, one.attack) for one in bench.attack([0], [Ridge()]).results}
    for decoders in ((DECODER,), (DECODER, STRONGER)):
        wanted = {decoder.name for decoder in decoders}
        trained = {name: {attack for cut, attack in done if cut == name} for name in bench.names}
        cuts = [k for k, name in enumerate(bench.names) if trained[name] & {"decoder-XS", "decoder-S"} == wanted]
        if cuts:
            bench.attack(cuts, [Ridge(), *decoders, Stack((Ridge(), *decoders))])


def is_above(bench: Bench, index: int, *, level: float, safe: float) -> bool:
    """Whether the attacks recover more than a level at a cut.

    Args:
        bench: The target.
        index: Of the cut.
        level: The level of the post hoc rule.
        safe: The same if everything were recovered at the first cut: what the closed form lifts above it, is above.
    """
    known = bench.attack([index], [Ridge()])
    return index == 0 or bench.worst(known, index) > safe or bench.worst(bench.decode([index]), index) > level


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
