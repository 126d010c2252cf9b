"""How long work tells that it is alive: one callable, so that no room depends on a terminal."""

from collections.abc import Callable

Progress = Callable[[str, float, float], None]
"""Called as progress(task, done, total); the same task name again moves its bar."""


def silent(task: str, done: float, total: float) -> None:
    """Report to nobody."""
