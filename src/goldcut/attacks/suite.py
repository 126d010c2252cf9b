"""The attacks by name, the sets of them, and what an effort takes from a set."""

from goldcut.attacks.base import Attack
from goldcut.attacks.decoder import CAPS, Decoder
from goldcut.attacks.ridge import Ridge
from goldcut.errors import AttackError
from goldcut.fitting.loop import Settings

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Ridge(),
        Decoder("S", Settings(max_steps=8000)),
        Decoder("M", Settings(max_steps=5000)),
    )
}
"""Every attack by its name; pass your own Attack to attack_cuts for others."""

SETS: dict[str, tuple[str, ...]] = {
    "standard": ("ridge", "decoder-S", "decoder-M"),
}
"""Sets by name."""

LEFT_OUT: dict[str, frozenset[str]] = {"small": frozenset({"decoder-M"})}
"""What an effort leaves out of a set; an attack that is asked for by its own name is always run."""


def choose_attacks(names: str, effort: str = "standard") -> tuple[Attack, ...]:
    """Attacks by set or by names separated by commas, with the caps of an effort.

    Raises:
        AttackError: An unknown name or effort.

    Example:
        >>> [attack.name for attack in choose_attacks("standard", "small")]
        ['ridge', 'decoder-S']
    """
    if effort not in CAPS:
        raise AttackError(f"there is no effort {effort!r}", f"Choose one of {', '.join(CAPS)}.")
    chosen: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        if name not in SETS and name not in ATTACKS:
            raise AttackError(f"there is no attack {name!r}", f"Choose from {', '.join([*SETS, *ATTACKS])}.")
        members = [one for one in SETS.get(name, ()) if one not in LEFT_OUT.get(effort, ())] or [name]
        chosen += [one for one in members if one not in chosen]
    return tuple(ATTACKS[name].at_effort(effort) for name in chosen)
