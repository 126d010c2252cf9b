"""What `goldcut recommend --json` prints: which cuts keep all limits, and why the others do not."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a cut must keep; None for no limit.

    Attributes:
        recovered: Most that the upper 95 % limit of the strongest attack may be.
        edge_flops: FLOPs of the edge half for one sample.
        edge_memory: Bytes of the edge half's weights and of its activations at their peak.
        payload: Bytes of Z for one sample in fp32.
        link: Name or text of the link, such as "10mbit,40ms".
        seconds: On the link, and in both halves where they were timed.
    """

    recovered: float | None = None
    edge_flops: float | None = None
    edge_memory: int | None = None
    payload: int | None = None
    link: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A cut with the figures that decide.

    Attributes:
        cut: Its name.
        recovered: Of the strongest attack; None where it was not attacked.
        recovered_high: Its upper 95 % limit.
        edge_flops: As in the scan.
        edge_memory: Bytes of weights and peak activations; None where the activations were not measured.
        payload: Bytes of Z in fp32.
        seconds: On the link, and in both halves where they were timed; None without a link.
        on_front: Whether no other cut that keeps the limits is as good in every figure and better in one.
        refused: Why it does not keep the limits, one sentence each; empty where it does.
    """

    cut: str
    recovered: float | None = None
    recovered_high: float | None = None
    edge_flops: int
    edge_memory: int | None = None
    payload: int
    seconds: float | None = None
    on_front: bool = False
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RecommendRecord:
    """Every cut of an audit against the limits.

    Attributes:
        recommended: The cut that keeps all limits with the fewest edge FLOPs; None when there is none.
    """

    schema: Literal["goldcut.recommend/1"] = "goldcut.recommend/1"
    limits: Limits
    candidates: tuple[Candidate, ...]
    recommended: str | None = None
