"""The file TABLE.json of a reproduction: a table of the paper measured again, with a verdict on each claim."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["holds", "does not hold", "not testable at this scale", "not run"]


@dataclass(frozen=True, kw_only=True)
class ClaimRecord:
    """One claim of the paper beside what was measured here.

    Attributes:
        id: Name of the claim in the facts.
        subject: Network, and cut where there are several.
        claim: In words.
        figure: What was measured.
        paper: The paper's number or word; None for a question of this project.
        source: Where in the paper.
        value: Ours; None where it was not measured.
        low: Lower 95 % limit; the value itself where nothing is drawn at random.
        high: Upper 95 % limit.
        needs: What the figure must keep for the claim to hold, such as "at least 4".
        verdict: The whole interval decides.
        reason: Why the verdict is no plain one; empty otherwise.
        difference: How our setting differs from the paper's; empty where it is the same.
    """

    id: str
    subject: str
    claim: str
    figure: str
    paper: str | None
    source: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    needs: str
    verdict: Verdict
    reason: str = ""
    difference: str = ""


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """How a step of a table came to be.

    Attributes:
        step: Its name.
        seconds: Wall clock; None where it has not been carried out.
        started: When it began.
        threads: Threads that torch used.
        machine: System and cores.
        device: Where it computed.
        model_sha256: Hash of the weights, where the step has any.
        versions: Of goldcut and what it computes with.
    """

    step: str
    seconds: float | None = None
    started: str = ""
    threads: int = 0
    machine: str = ""
    device: str = ""
    model_sha256: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReproduceRecord:
    """A table of the paper.

    Attributes:
        table: Its name.
        title: What it is about.
        scale: "cpu" or "paper".
        settings: All sizes of the scale.
        data_sha256: Hash of the images of each pack that was opened.
        rows: What was measured, a flat mapping a row, all with the same keys.
        claims: A verdict each.
        steps: How it came to be.
        complete: Whether every step has been carried out.
        command: That makes it again.
    """

    schema: Literal["goldcut.reproduce/1"] = "goldcut.reproduce/1"
    table: str
    title: str
    scale: str
    settings: Mapping[str, Any]
    data_sha256: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...]
    claims: tuple[ClaimRecord, ...]
    steps: tuple[StepRecord, ...]
    complete: bool
    command: str = ""
