"""The attacks by name, the sets of them, and what an effort takes from a set."""

from goldcut.attacks.align import Align
from goldcut.attacks.attributes import Probe
from goldcut.attacks.base import Attack
from goldcut.attacks.decoder import CAPS, MOST_STEPS, usual_decoder
from goldcut.attacks.deep_prior import DeepPrior
from goldcut.attacks.ensemble import Ensemble
from goldcut.attacks.evolution import LatentQuery
from goldcut.attacks.latent import Latent
from goldcut.attacks.paper import DECONVOLUTIONS
from goldcut.attacks.refine import Refine
from goldcut.attacks.ridge import Ridge
from goldcut.attacks.rmle import RegularisedLikelihood
from goldcut.attacks.shadow import Shadow
from goldcut.attacks.stack import Stack
from goldcut.errors import AttackError
from goldcut.records import KNOWLEDGE, Knowledge

DECODERS = tuple(map(usual_decoder, MOST_STEPS))

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Ridge(),
        *DECODERS,
        *(Ensemble(decoder) for decoder in DECODERS),
        Stack(),
        Refine(),
        RegularisedLikelihood(),
        DeepPrior(),
        *DECONVOLUTIONS,
        Latent(),
        LatentQuery(),
        Shadow(),
        Shadow(same=False),
        Align(),
    )
}
"""Every attack by its name; pass your own Attack to attack_cuts for others."""

PROBES: dict[str, Probe] = {probe.name: probe for probe in (Probe(),)}
"""What is inferred without pixels; chosen by name as attacks are."""

STANDARD = ("ridge", "decoder-S", "decoder-M", "stack", "refine", "rmle", "shadow", "attributes")

STRONGEST_OF_PAPER = ("deconv-reversed-residual", "deconv-dropout-net")
"""Of the paper's attackers those that recovered most on four small edges in 40 steps each: on average 0.80 and 0.79 of
the variance, the plain one 0.78, the weakest 0.68."""

SETS: dict[str, tuple[str, ...]] = {
    "standard": STANDARD,
    "strong": (
        *STANDARD,
        "decoder-L",
        "ensemble-S",
        "ensemble-M",
        "prior",
        "latent",
        "latent-query",
        "shadow-other",
        "align",
        *STRONGEST_OF_PAPER,
    ),
    "paper": tuple(attack.name for attack in DECONVOLUTIONS),
}
"""Sets by name."""

SMALL = ("ridge", "decoder-S", "deconv", "stack")
"""What the effort "small" keeps of a set; an attack that is asked for by its own name is always run."""


def every_attack() -> tuple[Attack, ...]:
    """Each attack of goldcut at each effort."""
    return tuple(attack.at_effort(effort) for effort in CAPS for attack in ATTACKS.values())


def choose_attacks(
    names: str, effort: str = "standard", knowledge: Knowledge = "weights"
) -> tuple[Attack | Probe, ...]:
    """Attacks and probes by set or by names separated by commas, with the caps of an effort.

    Args:
        names: Sets and names.
        effort: One of CAPS.
        knowledge: What the attacker knows of the edge; a set is cut down to what can be done with it.

    Raises:
        AttackError: An unknown name, effort or knowledge; an attack that needs more knowledge than there is.

    Example:
        >>> [attack.name for attack in choose_attacks("standard", "small")]
        ['ridge', 'decoder-S', 'stack']
    """
    if effort not in CAPS:
        raise AttackError(f"there is no effort {effort!r}", f"Choose one of {', '.join(CAPS)}.")
    if knowledge not in KNOWLEDGE:
        raise AttackError(f"there is no knowledge {knowledge!r}", f"Choose one of {', '.join(KNOWLEDGE)}.")
    most = KNOWLEDGE.index(knowledge)
    known: dict[str, Attack | Probe] = {**ATTACKS, **PROBES}
    chosen: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        if name not in SETS and name not in known:
            raise AttackError(f"there is no attack {name!r}", f"Choose from {', '.join([*SETS, *known])}.")
        members = [one for one in SETS.get(name, (name,)) if name in known or effort != "small" or one in SMALL]
        able = [one for one in members if KNOWLEDGE.index(known[one].needs) <= most]
        if not able:
            needed = " or ".join(sorted({known[one].needs for one in members}))
            raise AttackError(
                f"{name} needs an attacker that knows {needed} and this one knows {knowledge}",
                "Choose other --attacks, or another --knowledge.",
            )
        chosen += [one for one in able if one not in chosen]
    return tuple(one.at_effort(effort) if isinstance(one, Attack) else one for one in map(known.__getitem__, chosen))
