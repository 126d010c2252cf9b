"""`goldcut serve --engine ray`: replicas of the session as a Ray Serve deployment, on this machine or on a cluster.

The server before them stays what it is: Ray's own proxies, which know neither the protocol's checks nor (for gRPC) TLS,
are not started.
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from goldcut.cluster import LOCAL, join_cluster, short, start_ray
from goldcut.deploy.manifest import CLOUD, MANIFEST, Export, read_file
from goldcut.deploy.ray_serve import Said, hush, load_serve
from goldcut.deploy.replicas import Replicas
from goldcut.deploy.server import DRAIN_SECONDS, Place
from goldcut.deploy.service import LOG
from goldcut.errors import DeployError

BATCHES_AHEAD = 4
"""Full batches of requests that a replica is given at once; the others wait where a new replica can have them."""

BUSY_SHARE = 0.5
"""Of a full batch: where a replica has more requests than that on average, another one is started."""

UP_SECONDS, DOWN_SECONDS = 3.0, 60.0
"""For how long there must be more work, or less, before replicas are started or stopped."""

HEALTH_SECONDS = 1.0
START_SECONDS, STATUS_SECONDS = 60.0, 1.0
MOST_SILENT_SECONDS = 30.0
"""Without our application in Ray for so long, the server ends, so that whoever supervises it starts it anew."""

STARTS = 3
"""Times that a replica may fail as it starts."""


@dataclass(frozen=True)
class Fleet:
    """How many replicas, and where.

    Args:
        least: At any time.
        most: At any time; None for as many as the CPUs allow.
        address: HOST:PORT of the head of a cluster that this machine is a node of, or "auto"; "local" for Ray on this
            machine alone.
    """

    least: int = 1
    most: int | None = None
    address: str = LOCAL


@contextlib.contextmanager
def start_replicas(export: Export, place: Place, fleet: Fleet) -> Iterator[Replicas]:
    """Replicas of the cloud half while it is inside; what was started for them ends with it, and nothing else.

    Raises:
        ClusterError: Ray cannot be started, or the cluster cannot be joined.
        DeployError: The export is not whole, the cluster lacks CPUs, or no replica starts.
        MissingExtra: Ray is not installed.
    """
    export.open_cloud()
    files = {MANIFEST: read_file(export.folder / MANIFEST), CLOUD: export.read(CLOUD)}
    with contextlib.ExitStack() as held:
        alone = fleet.address == LOCAL
        ray = load_serve(alone=alone)
        held.enter_context(contextlib.redirect_stdout(Said()))
        if alone:
            most = fleet.most or max(fleet.least, (os.cpu_count() or 1) // place.threads)
            start_ray(ray, held, cpus=most * place.threads, store_bytes=2 * sum(map(len, files.values())))
        else:
            join_cluster(ray, held, fleet.address)
            cpus = int(ray.cluster_resources().get("CPU", 0))
            most = fleet.most or max(fleet.least, cpus // place.threads)
            if cpus < fleet.least * place.threads:
                raise DeployError(
                    f"the cluster has {cpus} CPUs and {fleet.least} replicas of {place.threads} threads need "
                    f"{fleet.least * place.threads}",
                    "Add nodes, or give smaller --replicas.",
                )
        held.callback(hush)
        name = f"goldcut-{export.manifest.model_name}-{socket.gethostname()}-{place.port or os.getpid()}"
        handle = _deploy(ray, held, name, files, place, (fleet.least, most), owned=alone)
        held.enter_context(_watching(ray.serve, name))
        gone = (
            ray.exceptions.RayActorError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.ObjectLostError,
            ray.serve.exceptions.DeploymentUnavailableError,
            ray.serve.exceptions.ReplicaUnavailableError,
        )
        yield Replicas(handle.answer.remote, gone, most_waiting=place.most_waiting + most * place.most_rows)


def _deploy(
    ray: Any,
    held: contextlib.ExitStack,
    name: str,
    files: dict[str, bytes],
    place: Place,
    scale: tuple[int, int],
    *,
    owned: bool,
) -> Any:
    """Start the replicas; gives the handle through which they are asked.

    Raises:
        DeployError: None starts.
    """
    from goldcut.deploy.replica import Replica

    serve = ray.serve
    ahead = BATCHES_AHEAD * place.most_rows
    deployment = serve.deployment(
        Replica,
        ray_actor_options={"num_cpus": place.threads},
        max_ongoing_requests=ahead,
        autoscaling_config={
            "min_replicas": scale[0],
            "max_replicas": scale[1],
            "target_ongoing_requests": max(1.0, BUSY_SHARE * place.most_rows),
            "upscale_delay_s": UP_SECONDS,
            "downscale_delay_s": DOWN_SECONDS,
            "metrics_interval_s": min(1.0, UP_SECONDS / 3),
            "look_back_period_s": UP_SECONDS,
        },
        health_check_period_s=HEALTH_SECONDS,
        health_check_timeout_s=10 * HEALTH_SECONDS,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=DRAIN_SECONDS,
        max_constructor_retry_count=STARTS,
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    stored = {key: ray.put(np.frombuffer(content, np.uint8)) for key, content in files.items()}
    application = deployment.bind(
        stored, most_rows=place.most_rows, most_waiting=ahead * place.most_rows, threads=place.threads
    )
    serve.start(proxy_location="Disabled")
    if not owned:
        held.callback(_delete, serve, name)
    target = serve.RunTarget(target=application, name=name, route_prefix=None)
    (handle,) = serve.run_many([target], wait_for_applications_running=False)
    held.callback(stored.clear)  # kept until then, for replicas that are started later
    _await_running(serve, name)
    return handle


def _await_running(serve: Any, name: str) -> None:
    """Come back when the replicas take requests.

    Raises:
        DeployError: They fail as they start, or there is no room for them.
    """
    until = time.monotonic() + START_SECONDS
    while (application := serve.status().applications[name]).status != "RUNNING":
        said = [application.message, *(one.message for one in application.deployments.values())]
        lines = [line.strip() for text in said for line in text.splitlines() if line.strip()]
        if application.status == "DEPLOY_FAILED":
            raise DeployError(
                f"no replica can be started: {short(lines[-1] if lines else 'unknown')}",
                "Every node needs this version of goldcut, with its extra serve.",
            )
        if time.monotonic() > until:
            raise DeployError(
                f"no replica was ready after {START_SECONDS:g} seconds: {short(lines[-1] if lines else 'no room')}",
                "Look at the free CPUs and memory of the machines.",
            )
        time.sleep(0.1)


def _delete(serve: Any, name: str) -> None:
    """Take our application from a cluster that stays."""
    try:
        serve.delete(name)
    except Exception as error:
        LOG.warning("not deleted", extra={"fields": {"application": name, "why": short(error)}})


@contextlib.contextmanager
def _watching(serve: Any, name: str) -> Iterator[None]:
    """Log how many replicas there are while it is inside, and end the server when Ray itself is gone.

    Raises:
        DeployError: As it leaves, where Ray is gone.
    """
    ended, lost = threading.Event(), threading.Event()

    def watch() -> None:
        heard, before = time.monotonic(), 0
        while not ended.wait(STATUS_SECONDS):
            with contextlib.suppress(Exception):
                states = serve.status().applications[name].deployments["Replica"].replica_states
                heard, now = time.monotonic(), int(states.get("RUNNING", 0))
                if now != before:
                    LOG.info("replicas", extra={"fields": {"running": now}})
                before = now
            if time.monotonic() - heard > MOST_SILENT_SECONDS:
                lost.set()
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(MOST_SILENT_SECONDS)
    if lost.is_set():
        raise DeployError("Ray, which ran the replicas, is gone", "Start the server anew.")
