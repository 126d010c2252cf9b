"""Independent pieces of work in parallel threads that share the computing threads evenly.

Small convolutions gain little from a second thread inside an operator, and much from a second training
beside the first: PyTorch holds no lock while it computes. Each training has its own generators, so
results do not depend on who runs when.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import torch

from goldcut.fitting.memory import keep_freed_memory
from goldcut.progress import Progress


class Stopped(BaseException):
    """Raised inside a piece of work that is to end because another one failed; no attack should catch it."""


def run_together(work: Sequence[Callable[[Progress], None]], *, workers: int, progress: Progress) -> None:
    """Run every piece once; the first exception, an interrupt included, stops all and is raised.

    Args:
        work: Pieces, the longest first; each is given a progress that it has to call now and then, because
            that is where it learns that it should stop.
        workers: Threads; as many as PyTorch has give each one computing thread.
        progress: Told one call at a time.
    """
    keep_freed_memory()
    stop, turn = threading.Event(), threading.Lock()

    def tell(task: str, done: float, total: float) -> None:
        if stop.is_set():
            raise Stopped
        with turn:
            progress(task, done, total)

    threads = torch.get_num_threads()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(max(1, threads // workers),)) as pool:
        try:
            waiting = {pool.submit(piece, tell) for piece in work}
            while waiting:
                ended, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in ended:
                    future.result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(threads)
