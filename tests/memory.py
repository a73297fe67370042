"""A bound on the memory of a test process.

JAX keeps every compiled program, and jaxlib 0.10 uses 2 MB for each: 5 GB after some
thousand tests. So the programs are dropped whenever the process has grown too large.
"""

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import jax

MOST = 1000 * 2**20  # bytes in use before the programs are dropped
ROOM = 200 * 2**20  # bytes to grow by until the next time, where much remains
PER_WORKER = 2 * 2**30  # bytes of the machine for each worker


class Bound:
    """Drops what JAX has compiled once the process has more than `MOST` bytes.

    A plugin of pytest: a hook of `tests/conftest.py` itself would only run after the
    tests in its folder, not after the doctests of the library.
    """

    def __init__(self, used: Callable[[], int]):
        self.used, self.limit = used, MOST

    def pytest_runtest_logfinish(self) -> None:
        self.check()

    def check(self) -> None:
        """Call this between programs."""
        if self.used() > self.limit:
            release()
            self.limit = max(MOST, self.used() + ROOM)


def used() -> int:
    """Bytes that the process uses now; 0 where the system does not say."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * page() if pages.exists() else 0


def peak() -> int:
    """The largest number of bytes that the process has used."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def release() -> None:
    """Drop the compiled programs, and return their memory to the system."""
    jax.clear_caches()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only in glibc
    if trim:
        trim(0)


def most_workers() -> int:
    """The number of workers that fit into the machine's memory."""
    return max(1, os.sysconf("SC_PHYS_PAGES") * page() // PER_WORKER)


def page() -> int:
    return os.sysconf("SC_PAGE_SIZE")
