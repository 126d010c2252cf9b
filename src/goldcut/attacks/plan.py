"""What is to be attacked, and what of it is finished already."""

import hashlib
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldcut.attacks.attributes import Probe
from goldcut.attacks.base import Attack
from goldcut.attacks.features import attack_shape
from goldcut.attacks.finished import Finished
from goldcut.attacks.leakage import PICTURES, Leakage, Pictures, find_worst
from goldcut.attacks.shelf import Shelf
from goldcut.errors import AttackError
from goldcut.metrics.structure import ssim_window
from goldcut.progress import Progress
from goldcut.records import AttackResult, Baselines, Cut, Failure, Inferred, Scores
from goldcut.sources.images import Images, Parts

MEAN_IMAGE, CLASS_MEAN, NEAREST = "mean-image", "class-mean", "nearest"


MIRRORED_ELEMENTS = 4
"""Elements of Z per element of the image up to which mirrored images are worth their memory.

Deep cuts are short of training images: behind the pool of a small ResNet they raise `recovered` from 0.44 to 0.45.
Where Z is much larger than the image there is no gap between training and selection that they could close.
"""


DRAWS = 4
"""Times that training images pass a stochastic edge: an attacker who sees one draw of the noise learns it by heart."""


RECIPE = 6
"""Raised whenever the same attack would come out otherwise, so that older work is done again."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Cuts x attacks, and what all of them share.

    Attributes:
        cuts: In order.
        parts: The attacker's images and the victims.
        attacks: With distinct names.
        seed: Of everything random.
        logits: Whether the model's output is logits.
        device: Where to compute.
        finished: Folder of finished work.
        progress: Told what is done.
        places: Place of each cut in the network, by name; part of the names of files.
        shelf: Work that the attacks at all cuts share.
        stochastic: Whether the edge answers the same image differently each time.
        queries: Passes of each image, whose Z are averaged.
        probes: What is inferred without pixels.
        others: Attacks that are not asked for; where one is finished, those that follow start from it as well.
    """

    cuts: tuple[Cut, ...]
    parts: Parts
    attacks: tuple[Attack, ...]
    seed: int
    logits: bool
    device: str
    finished: Finished
    progress: Progress
    places: Mapping[str, int]
    shelf: Shelf = field(default_factory=Shelf)
    stochastic: bool = False
    queries: int = 1
    probes: tuple[Probe, ...] = ()
    others: tuple[Attack, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) at which the attacks work."""
        return attack_shape(self.parts.victims.shape)

    @property
    def images(self) -> int:
        """Images of all parts."""
        return len(self.parts.training) + len(self.parts.selection) + len(self.parts.victims)

    @property
    def draws(self) -> int:
        """How often the training images are shown, each time with the noise of another pass."""
        return DRAWS if self.stochastic else 1

    def has_mirrored(self, cut: Cut) -> bool:
        """Whether the training images are also shown mirrored at a cut."""
        return cut.elements <= MIRRORED_ELEMENTS * math.prod(self.shape)

    def bytes_of(self, cut: Cut) -> int:
        """Bytes of all Z of a cut as float32."""
        more = self.draws - 1 + self.has_mirrored(cut)
        return 4 * cut.elements * (self.images + more * len(self.parts.training))

    @property
    def constants(self) -> tuple[str, ...]:
        """Baselines that do not depend on the cut."""
        return (MEAN_IMAGE, CLASS_MEAN) if self.logits else (MEAN_IMAGE,)

    def stem(self, cut: Cut, name: str) -> str:
        """File name of a piece of work, without its suffix."""
        return f"{self.places[cut.name]:03d}-{name}"

    def key(self, cut: Cut, attack: Attack | Probe | None) -> str:
        """Hash of what a piece of work depends on, what it starts from included; None is the nearest neighbour."""
        before = [self.key(cut, one) for one in (self.starts(cut, attack) if isinstance(attack, Attack) else ())]
        if isinstance(attack, Probe):
            before = [hash_attributes(self.parts)]
        return self.finished.key(RECIPE, cut.name, cut.shape, NEAREST if attack is None else repr(attack), *before)

    def starts(self, cut: Cut, attack: Attack) -> tuple[Attack, ...]:
        """What an attack that follows starts from: attacks that are asked for, and others that are finished.

        They need no more than the edge's answers and invert any Z; with its weights, also those that follow others.
        """

        def may(one: Attack) -> bool:
            early = not one.follows or attack.needs == "weights"
            return early and one.needs == "queries" and one.victims is None

        if not attack.follows or attack.needs not in ("queries", "weights"):
            return ()
        finished = {one.name: one for one in self.others if may(one) and self.is_finished(cut, one)}
        found = {**finished, **{one.name: one for one in self.attacks if may(one)}}
        return tuple(found[name] for name in sorted(found))  # in one order, whoever was asked for first

    def is_finished(self, cut: Cut, attack: Attack) -> bool:
        """Whether an attack has been carried out at a cut."""
        return self.finished.has(self.stem(cut, attack.name), self.key(cut, attack))

    def checkpoint(self, cut: Cut, attack: Attack) -> Path:
        """Where an attack keeps what it has learned, to go on from there or to be built upon."""
        return self.finished.path(f"{self.stem(cut, attack.name)}-{self.key(cut, attack)[:8]}", ".safetensors")

    def seed_of(self, cut: Cut, name: str) -> int:
        """The seed of a piece of work: the same whichever other cuts are attacked."""
        digest = hashlib.sha256(repr((self.seed, cut.name, name)).encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1


@dataclass(eq=False)
class Ledger:
    """What has been found so far; filled by several threads, each under its own keys."""

    constants: dict[str, Scores] = field(default_factory=dict)
    nearest: dict[str, Scores] = field(default_factory=dict)
    results: dict[tuple[str, str], AttackResult] = field(default_factory=dict)
    inferred: dict[tuple[str, str], tuple[Inferred, ...]] = field(default_factory=dict)
    failures: dict[tuple[str, str], Failure] = field(default_factory=dict)
    arrays: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def has_secrets(victims: Images) -> bool:
    """Whether there is anything to infer of the victims without pixels: classes, or attributes."""
    return len(victims.classes) > 1 or bool(victims.attributes)


def hash_parts(parts: Parts) -> str:
    """Hash over all images of all parts and their labels and classes in order, and their size."""
    digest = hashlib.sha256(repr((parts.victims.shape, parts.auxiliary_same_data)).encode())
    for images in (parts.training, parts.selection, parts.victims):
        digest.update(
            repr((len(images), images.classes)).encode() + images.hashes().tobytes() + images.labels.tobytes()
        )
    return digest.hexdigest()


def hash_attributes(parts: Parts) -> str:
    """Hash over what else is known of the images of all parts."""
    digest = hashlib.sha256()
    for images in (parts.training, parts.selection, parts.victims):
        for name, values in images.attributes.items():
            digest.update(repr((name, len(values))).encode() + values.tobytes())
    return digest.hexdigest()


def read_finished(plan: Plan, ledger: Ledger) -> dict[str, list[Attack | Probe | None]]:
    """Take over what is finished; per cut what is still to be done, None for the nearest neighbour."""
    for name in plan.constants:
        if kept := plan.finished.read(name, plan.finished.key(name), Scores):
            ledger.constants[name] = kept[0]
    missing: dict[str, list[Attack | Probe | None]] = {}
    for cut in plan.cuts:
        todo: list[Attack | Probe | None] = []
        missing[cut.name] = todo
        if near := plan.finished.read(plan.stem(cut, NEAREST), plan.key(cut, None), Scores):
            ledger.nearest[cut.name] = near[0]
        if near is None or len(ledger.constants) < len(plan.constants):
            todo.append(None)
        for attack in plan.attacks:
            if done := plan.finished.read(plan.stem(cut, attack.name), plan.key(cut, attack), AttackResult):
                ledger.results[cut.name, attack.name], ledger.arrays[cut.name, attack.name] = done
            else:
                todo.append(attack)
        for probe in plan.probes:
            if said := plan.finished.read(plan.stem(cut, probe.name), plan.key(cut, probe), tuple[Inferred, ...]):
                ledger.inferred[cut.name, probe.name] = said[0]
            else:
                todo.append(probe)
    return missing


def summarise(plan: Plan, ledger: Ledger, ceiling: float | None, victims: Pictures) -> Leakage:
    """What has been found so far, in the order of the plan."""
    pairs = [(cut.name, attack.name) for cut in plan.cuts for attack in plan.attacks]
    asked = [(cut.name, probe.name) for cut in plan.cuts for probe in plan.probes]
    names = [cut.name for cut in plan.cuts]
    with ledger.lock:
        results = tuple(ledger.results[pair] for pair in pairs if pair in ledger.results)
        return Leakage(
            baselines=Baselines(
                mean_image=ledger.constants[MEAN_IMAGE],
                class_mean=ledger.constants.get(CLASS_MEAN),
                nearest={name: ledger.nearest[name] for name in names if name in ledger.nearest},
            ),
            results=results,
            failures=tuple(ledger.failures[pair] for pair in (*pairs, *asked) if pair in ledger.failures),
            inferred=tuple(one for pair in asked for one in ledger.inferred.get(pair, ())),
            worst=find_worst(names, results),
            cuts=tuple(names),
            image_shape=plan.shape,
            ceiling_recovered=ceiling,
            ssim_window=ssim_window(*plan.shape[1:]),
            victims=victims,
            labels=plan.parts.victims.labels[: len(victims)],
            pictures={pair: arrays[PICTURES] for pair, arrays in ledger.arrays.items()},
            figures={
                pair: {name: values for name, values in arrays.items() if name != PICTURES}
                for pair, arrays in ledger.arrays.items()
            },
            stochastic=plan.stochastic,
            queries=plan.queries,
            complete=all(
                pair in ledger.results or pair in ledger.inferred or pair in ledger.failures
                for pair in (*pairs, *asked)
            ),
        )


def check_names(attacks: Sequence[Attack | Probe]) -> None:
    """Refuse two attacks of one name: one would overwrite the other.

    Raises:
        AttackError: Two attacks have the same name.
    """
    names = [attack.name for attack in attacks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AttackError(f"two attacks are called {', '.join(twice)}", "Give each attack a name of its own.")
