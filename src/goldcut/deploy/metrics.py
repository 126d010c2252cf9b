"""What the server counts, in the format of Prometheus; one registry a process, or one folder for several workers."""

import os
from typing import Any

from goldcut.errors import MissingExtra

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable with which the workers of one server share their counts; prometheus_client reads it too."""

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


def load_prometheus() -> Any:
    """The module prometheus_client.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import prometheus_client
        import prometheus_client.multiprocess
    except ImportError as error:
        raise MissingExtra("prometheus_client", "serve") from error
    return prometheus_client


class Metrics:
    """Counters of one worker."""

    def __init__(self) -> None:
        self._client = client = load_prometheus()
        self._registry = registry = client.CollectorRegistry()
        self.requests = client.Counter(
            "goldcut_requests", "Requests by transport and outcome", ["transport", "outcome"], registry=registry
        )
        self.rows = client.Counter("goldcut_rows", "Samples answered", registry=registry)
        self.seconds = client.Histogram(
            "goldcut_request_seconds", "From arrival to answer", buckets=SECONDS, registry=registry
        )
        self.queued = client.Histogram("goldcut_queue_seconds", "In the queue", buckets=SECONDS, registry=registry)
        self.batch = client.Histogram("goldcut_batch_rows", "Samples of a batch", buckets=ROWS, registry=registry)
        self.waiting = client.Gauge(
            "goldcut_waiting_rows", "Samples in the queue", registry=registry, multiprocess_mode="livesum"
        )

    def text(self) -> bytes:
        """All counts, those of the other workers included."""
        registry = self._registry
        if os.environ.get(FOLDER):
            registry = self._client.CollectorRegistry()
            self._client.multiprocess.MultiProcessCollector(registry)
        content: bytes = self._client.generate_latest(registry)
        return content
