"""All benchmarks, one after the other: `python -m benchmarks`, as JSON lines.

Run it on a quiet machine; the load at the start stands in the first line.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time

import torch

SCRIPTS = ("benchmarks.scan", "benchmarks.attack", "benchmarks.sweep")
HELP_RUNS = 7


def time_help() -> dict[str, object]:
    """Wall clock of `goldcut --help`, and its ratio to a Python that does nothing."""
    seconds: dict[str, list[float]] = {"help": [], "bare": []}
    for _ in range(HELP_RUNS):
        for name, arguments in (("help", ["-m", "goldcut", "--help"]), ("bare", ["-c", "pass"])):
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items()}
    return {"benchmark": "help", "seconds": medians, "ratio": round(medians["help"] / medians["bare"], 1)}


def main() -> None:
    """Print a line about the machine, then what each benchmark prints."""
    print(
        json.dumps(
            {
                "benchmark": "machine",
                "cores": os.cpu_count(),
                "load": [round(value, 2) for value in os.getloadavg()],
                "python": platform.python_version(),
                "torch": torch.__version__,
            }
        ),
        flush=True,
    )
    print(json.dumps(time_help()), flush=True)
    for script in SCRIPTS:
        subprocess.run([sys.executable, "-m", script], check=True)


if __name__ == "__main__":
    main()
