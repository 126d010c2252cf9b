"""Memory that a training frees and asks for again in the next step is kept by the process.

A step frees all that it computed. The C library of Linux gives what lies at the top back to the system, which fills it
with zeros page by page when the next step asks for it: a tenth to a third of a step of a decoder on one core of a CPU.
"""

import ctypes
from functools import cache

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""Parameters of mallopt, as glibc's malloc.h numbers them."""

KEPT = 1 << 30
"""Bytes that are kept at most."""

GROWTH = 64 << 20
"""Bytes by which it grows."""

LARGEST = 32 << 20
"""Bytes of a block that is given back all the same, such as Z of many images: the most that glibc takes here."""


@cache
def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed tensors; tells whether its C library can be told so.

    For all that the process does from now on; a second call does nothing.
    """
    try:
        tell = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    return all([tell(MMAP_THRESHOLD, LARGEST), tell(TRIM_THRESHOLD, KEPT), tell(TOP_PAD, GROWTH)])
