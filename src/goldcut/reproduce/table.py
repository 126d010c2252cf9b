"""What a table is: which steps it is made of, and what they say once they are there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from goldcut.records import AttackRecord, AttackResult, ClaimRecord
from goldcut.reproduce.judge import best
from goldcut.reproduce.scale import Scale
from goldcut.reproduce.steps import Attacked, Step

Results = Mapping[Step, Any]
"""The record of every step that has been carried out."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a table says.

    Attributes:
        rows: All with the same keys.
        claims: A verdict each.
    """

    rows: tuple[Row, ...]
    claims: tuple[ClaimRecord, ...]


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        letter: By which it may be asked for too.
        title: What it is about.
        plan: From the scale to the steps, each after those it needs.
        answer: From the scale and the records of steps to rows and verdicts; it reads nothing else.
    """

    letter: str
    title: str
    plan: Callable[[Scale], tuple[Step, ...]]
    answer: Callable[[Scale, Results], Answer]


def with_needs(*steps: Step) -> tuple[Step, ...]:
    """Steps and all that they need, each once, in an order that can be carried out."""
    ordered: dict[Step, None] = {}
    for step in steps:
        ordered |= dict.fromkeys((*with_needs(*step.needs), step))
    return tuple(ordered)


def differ(scale: Scale, *networks: str, attacks: Mapping[str, int] | None = None) -> str:
    """How a scale differs from the published setting; empty at full size.

    Args:
        scale: It.
        networks: Names of those that were looked at.
        attacks: Most steps of each attack; those of the scale when None.
    """
    if scale.name == "paper":
        return ""
    specs = ", ".join(scale.networks[network].spec for network in networks)
    return (
        f"{specs} instead of the published network, {scale.epochs} epochs of {scale.training_images:,} images instead"
        f" of 300 of all, attackers with {scale.attacker_images:,} images:"
        f" {', '.join(map(_steps, (attacks or scale.attacks).items()))}"
    )


def best_at(results: Results, step: Attacked, cut: str) -> AttackResult | None:
    """The attacker's best at a cut; None where the step has not been carried out."""
    record: AttackRecord | None = results.get(step)
    return best(record.results, cut) if record is not None else None


def attack_cells(result: AttackResult | None) -> dict[str, Any]:
    """What is shown of an attack."""
    names = ("attack", "mse", "mse_channel_sum", "psnr", "recovered", "recovered_low", "recovered_high", "converged")
    return {name: getattr(result, name) if result is not None else None for name in names}


def _steps(attack: tuple[str, int]) -> str:
    name, steps = attack
    return f"{name} of at most {steps:,} steps" if steps else f"{name} in closed form"
