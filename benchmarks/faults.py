"""Faults under load: a worker killed, a worker told to stop, clients that cancel, and a long run.

    python -m benchmarks.faults [--clients 8 --clients 32] [--seconds 6] [--soak 600] [--ray] [--folder EXPORT]

Two workers serve the export of `benchmarks.serve` in processes of their own; with `--ray` one server before two
replicas does, and a replica is killed instead. Clients that never try again show which requests a fault costs;
`goldcut.EdgeClient` shows what its user sees. Every answer is compared with the cloud half in process. Prints one JSON
line a case and ends with 1 where one is not as promised: `broken` names the promise.
"""

import asyncio
import json
import os
import signal
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import click

from benchmarks.load import Call, Kill, Load, back_after, flat, kept, only_in_flight, only_right
from benchmarks.serve import make_export, resident_mb
from benchmarks.serving import Served, serving
from goldcut.deploy.manifest import open_export

MOST_SECONDS = 2.0
"""Until the throughput is back."""

RAY_SECONDS = 20.0
"""Of a case with Ray, at least: a replica takes longer to be replaced than a worker."""

WARM_SECONDS = 10.0
MOST_GROWTH_MB = 10.0


def workers(served: Served) -> list[int]:
    """Process ids of the workers that are ready, the oldest first; those that ended left out."""
    lines = [json.loads(line) for line in served.log().splitlines()]
    ended = {line["pid"] for line in lines if line["event"] == "worker ended"}
    return [line["pid"] for line in lines if line["event"] == "ready" and line["pid"] not in ended]


def answered(served: Served) -> int:
    """Requests that the servers say they answered."""
    return served.log().count('"outcome": "answered"')


def report(case: str, calls: list[Call], broken: list[str], **more: object) -> bool:
    """Print the line of a case; gives whether every promise was kept."""
    outcomes = dict(Counter(call.outcome for call in calls))
    slowest = round(max((call.end - call.start for call in calls), default=0.0), 2)
    line = {"benchmark": f"faults {case}", **more, "outcomes": outcomes, "slowest_s": slowest}
    line["load"] = round(os.getloadavg()[0], 2)
    print(json.dumps({**line, "broken": broken}), flush=True)
    return not broken


# --- cases: each serves anew, and gives whether its promises were kept -----------------------------------


def worker_killed(load: Load, clients: int, seconds: float) -> bool:
    """kill -9 of one of two workers, without and with the client's retries."""
    kill, since = Kill(workers(load.served)[0]), time.monotonic()
    found, at = asyncio.run(load.run([load.reconnecting] * clients, seconds, kill))
    calls = flat(found)
    back = back_after(calls, at, since)
    promises = {
        **only_in_flight(found, at, kill.gone),
        "throughput back in 2 s": back is not None and back < MOST_SECONDS,
        "the worker is replaced": replaced(load.served, kill.pid),
    }
    more = {"gone_ms": round((kill.gone - at) * 1e3, 1), "back_s": back and round(back, 2)}
    good = report(f"kill -9, {clients} bare clients", calls, kept(promises), **more)
    found, _ = asyncio.run(load.run([load.retrying] * clients, seconds, Kill(workers(load.served)[0])))
    users = flat(found)
    return report(f"kill -9, {clients} EdgeClients", users, kept(only_right(users))) and good


def replica_killed(load: Load, clients: int, seconds: float) -> bool:
    """kill -9 of one of two Ray replicas, without and with the client's retries."""
    seconds, good = max(seconds, RAY_SECONDS), True
    asyncio.run(load.run([load.bare] * clients, 2.0, lambda: None))
    for name, kind in (("bare clients", load.bare), ("EdgeClients", load.retrying)):
        kill, since, clock = Kill(next(filter(running, replicas(load.served)))), time.monotonic(), time.time()
        found, at = asyncio.run(load.run([kind] * clients, seconds, kill))
        calls = flat(found)
        back = back_after(calls, at, since)
        again = replaced_after(load.served, clock + at - since)
        promises = only_right(calls) if kind == load.retrying else only_in_flight(found, at, kill.gone)
        more = {"back_s": back and round(back, 2), "replaced_s": again and round(again, 1)}
        promises |= {"the replica is replaced": again is not None, "throughput back": back is not None}
        good = report(f"replica killed, {clients} {name}", calls, kept(promises), **more) and good
    return good


def replicas(served: Served) -> list[int]:
    """Process ids of the Ray replicas that answered."""
    lines = [json.loads(line) for line in served.log().splitlines() if '"replica"' in line]
    return sorted({int(line["replica"].rpartition(":")[2]) for line in lines})


def replaced_after(served: Served, clock: float) -> float | None:
    """Seconds from a time until the server says that there are two replicas again, to the second; waited for."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        lines = [json.loads(line) for line in served.log().splitlines() if '"replicas"' in line]
        counts = [(datetime.fromisoformat(line["time"]).timestamp() - clock, line["running"]) for line in lines]
        fewer = [after for after, count in counts if after > 0 and count < 2]
        again = [after for after, count in counts if fewer and after > fewer[0] and count == 2]
        if again:
            return again[0]
        time.sleep(0.2)
    return None


def running(pid: int) -> bool:
    """Whether there is a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def replaced(served: Served, victim: int) -> bool:
    """Whether there are two workers again without the one that a fault hit; waited for."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = workers(served)
        if len(found) == 2 and victim not in found:
            return True
        time.sleep(0.05)
    return False


def worker_stopped(load: Load, clients: int, seconds: float) -> bool:
    """SIGTERM to one of two workers: what was taken is answered, and the user's client sees nothing."""
    victim, before = workers(load.served)[0], answered(load.served)
    found, _ = asyncio.run(load.run([load.bare] * clients, seconds, lambda: os.kill(victim, signal.SIGTERM)))
    calls = flat(found)
    again = replaced(load.served, victim)
    right = sum(call.outcome == "right" for call in calls)
    promises = {
        "what was taken is answered": answered(load.served) - before == right,
        "the worker is replaced": again,
        "what is refused may be asked again": {call.outcome for call in calls} <= {"right", "UNAVAILABLE", "CANCELLED"},
    }
    good = report(f"SIGTERM, {clients} bare clients", calls, kept(promises))
    victim = workers(load.served)[0]
    found, _ = asyncio.run(load.run([load.retrying] * clients, seconds, lambda: os.kill(victim, signal.SIGTERM)))
    users = flat(found)
    return report(f"SIGTERM, {clients} EdgeClients", users, kept(only_right(users))) and good


def cancels(load: Load, clients: int, seconds: float) -> bool:
    """Half of the clients lose patience again and again; the others get all their answers."""
    rude, calm = clients // 2, clients - clients // 2
    found, _ = asyncio.run(load.run([load.cancelling] * rude + [load.bare] * calm, seconds, lambda: None))
    cancelled = sum(call.outcome == "cancelled" for call in flat(found[:rude]))
    calls = flat(found[rude:])
    promises = {**only_right(calls), "some were cancelled": cancelled > 0}
    return report(f"cancels, {rude} of {clients} clients", calls, kept(promises), cancelled=cancelled)


def soak(load: Load, clients: int, seconds: float) -> bool:
    """A long run: memory at its begin and at its end."""
    asyncio.run(load.run([load.bare] * clients, WARM_SECONDS, lambda: None))
    pids = workers(load.served)
    before = [resident_mb(pid) for pid in pids]
    found, _ = asyncio.run(load.run([load.bare] * clients, seconds, lambda: None))
    after = [resident_mb(pid) for pid in pids]
    calls = flat(found)
    growth = max(end - begin for begin, end in zip(before, after, strict=True))
    promises = {**only_right(calls), f"less than {MOST_GROWTH_MB:g} MB more": growth < MOST_GROWTH_MB}
    memory = {"mb_before": [round(one) for one in before], "mb_after": [round(one) for one in after]}
    return report(f"soak of {seconds:g} s, {clients} clients", calls, kept(promises), **memory)


CASES = (worker_killed, worker_stopped, cancels)
WORKERS = ("--workers", "2")
RAY = ("--engine", "ray", "--replicas", "2")


@click.command()
@click.option("--clients", type=int, multiple=True, default=(8, 32), show_default=True)
@click.option("--seconds", type=float, default=6.0, show_default=True, help="Of a case; the fault comes half way.")
@click.option("--soak", "soak_seconds", type=float, default=600.0, show_default=True, help="0 leaves it out.")
@click.option("--ray", is_flag=True, help="Kill a replica of --engine ray; nothing else.")
@click.option("--folder", type=click.Path(path_type=Path), help="Use the export in this folder, or make it there.")
def main(clients: tuple[int, ...], seconds: float, soak_seconds: float, ray: bool, folder: Path | None) -> None:
    """Carry out every case, and end with 1 where a promise was broken."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = folder or Path(scratch) / "export"
        if not folder.exists():
            make_export(folder)
        export = open_export(folder)
        good = True
        plan = [(case, count, seconds) for count in clients for case in ((replica_killed,) if ray else CASES)]
        if soak_seconds and not ray:
            plan.append((soak, max(clients), soak_seconds))
        for turn, (case, count, length) in enumerate(plan):
            with serving(folder, Path(scratch) / f"log{turn}", *(RAY if ray else WORKERS)) as served:
                good = case(Load(export, served), count, length) and good
                served.stop()
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
