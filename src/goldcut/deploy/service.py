"""The cloud half at work, without a transport: a question in, an answer or a refusal out."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from jaxtyping import Float

from goldcut.deploy.access import Access
from goldcut.deploy.batcher import Computed
from goldcut.deploy.checks import OUTPUT, Question, check_question, is_loggable
from goldcut.deploy.manifest import Export
from goldcut.deploy.metrics import Metrics
from goldcut.deploy.refusals import Refusal
from goldcut.deploy.session import Engine
from goldcut.wire.tensors import Part, is_finite

LOG = logging.getLogger("goldcut.serve")
ENVELOPE = 64 * 1024
"""Bytes of a message besides its tensors."""


@dataclass(frozen=True, eq=False)
class Reply:
    """An answer.

    Attributes:
        id: Of the request.
        logits: (rows, *logits_shape).
        microseconds: Of the server, by what they were spent on; they travel as parameters.
    """

    id: str
    logits: Float[np.ndarray, "b ..."]
    microseconds: dict[str, int]


class Service:
    """One cloud half.

    Args:
        export: Whose cloud half is served.
        access: Who may ask.
        engine: What runs it.
        most_rows: Rows of a request, at most.
    """

    def __init__(self, export: Export, access: Access, engine: Engine, *, most_rows: int) -> None:
        self.manifest, self.codec, self.access = export.manifest, export.codec, access
        self.most_rows = most_rows
        self.metrics = Metrics()
        self.ready = False
        self._engine = engine

    @property
    def most_bytes(self) -> int:
        """Largest body: a whole batch in binary, three times over so that a few rows fit as JSON too."""
        return 3 * self.most_rows * (self.codec.row_bytes + 16) + ENVELOPE

    async def infer(self, question: Question, transport: str, started: float, seconds: float | None = None) -> Reply:
        """Answer a question.

        Args:
            question: As it came.
            transport: "grpc" or "http", for log and metrics.
            started: time.perf_counter() when it arrived.
            seconds: What the transport says is left of the client's patience.

        Raises:
            Refusal: Why it is not answered.
        """
        outcome, computed = "failed", None
        try:
            accepted = check_question(question, self.manifest, self.codec, self.most_rows)
            patience = [one for one in (accepted.seconds, seconds) if one is not None]
            computed = await self._engine.answer(accepted.z, min(patience, default=None))
            if not is_finite(computed.logits):
                raise Refusal("invalid", "the cloud half gives NaN or infinite logits for these values of Z")
            outcome = "answered"
            spent = {"queue_us": computed.waited, "compute_us": computed.computed, "server_us": _since(started)}
            return Reply(question.id, computed.logits, {name: int(value * 1e6) for name, value in spent.items()})
        except Refusal as refusal:
            outcome = refusal.reason
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            took = _since(started)
            self._log(question.id, transport, outcome, computed, took)
            # Counted once the answer is on its way: nobody waits for that.
            asyncio.get_running_loop().call_soon(self._count, transport, outcome, computed, took)

    async def drain(self) -> None:
        """Take nothing more and finish what was taken."""
        self.ready = False
        await self._engine.drain()

    def server(self) -> dict[str, object]:
        """Metadata of the server."""
        return {"name": "goldcut", "version": _version(), "extensions": ["binary_tensor_data"]}

    def model(self) -> dict[str, object]:
        """Metadata of the model; -1 stands for any number of rows up to the largest."""
        output = Part(OUTPUT, "FP32", self.manifest.logits_shape)
        return {
            "name": self.manifest.model_name,
            "versions": [self.manifest.version],
            "platform": "onnxruntime_onnx",
            "inputs": [_described(part) for part in self.codec.parts],
            "outputs": [_described(output)],
        }

    def _log(self, name: str, transport: str, outcome: str, computed: Computed | None, seconds: float) -> None:
        """One line; never a tensor."""
        if not LOG.isEnabledFor(logging.INFO):
            return
        fields: dict[str, object] = {"id": name if is_loggable(name) else "", "transport": transport}
        if computed is not None:
            fields |= {
                "rows": len(computed.logits),
                "batch": computed.rows,
                "queue_ms": round(computed.waited * 1e3, 3),
                **({"replica": computed.replica} if computed.replica else {}),
            }
        LOG.info("request", extra={"fields": {**fields, "outcome": outcome, "ms": round(seconds * 1e3, 3)}})

    def _count(self, transport: str, outcome: str, computed: Computed | None, seconds: float) -> None:
        """Into the metrics."""
        self.metrics.requests.labels(transport, outcome).inc()
        self.metrics.seconds.observe(seconds)
        self.metrics.waiting.set(self._engine.waiting_rows)
        if computed is not None:
            self.metrics.rows.inc(len(computed.logits))
            self.metrics.queued.observe(computed.waited)
            self.metrics.batch.observe(computed.rows)


def _described(part: Part) -> dict[str, object]:
    return {"name": part.name, "datatype": part.datatype, "shape": [-1, *part.row_shape]}


def _version() -> str:
    """Of goldcut, which a server may have as goldcut-edge."""
    for name in ("goldcut", "goldcut-edge"):
        with contextlib.suppress(PackageNotFoundError):
            return version(name)
    return "unknown"


def _since(started: float) -> float:
    return time.perf_counter() - started
