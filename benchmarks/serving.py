"""`goldcut serve` as a process of its own, on ports of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

READY = re.compile(r"ready (grpcs?)://([^ ]+):(\d+) (https?)://[^ ]+:(\d+)")


@dataclass(frozen=True, eq=False)
class Served:
    """A running server."""

    process: subprocess.Popen
    host: str
    port: int
    http_port: int
    log_path: Path

    @property
    def grpc(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def http(self) -> str:
        return f"{self.host}:{self.http_port}"

    def log(self) -> str:
        return self.log_path.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@contextlib.contextmanager
def serving(folder: Path, log_path: Path, *flags: str) -> Iterator[Served]:
    """Serve an export while it is inside."""
    command = [sys.executable, "-m", "goldcut", "serve", str(folder), "--port", "0", "--http-port", "0", *flags]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline().decode()
            found = READY.match(line)
            assert found, f"the server said {line!r} and {log_path.read_text()!r}"
            yield Served(process, found[2], int(found[3]), int(found[5]), log_path)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
