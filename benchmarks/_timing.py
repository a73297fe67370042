"""What the benchmarks share: timing in turns, and a description of the machine.

The noise of a machine changes slowly and affects everything within one turn alike, so
the ratio of two times from the same turn is steadier than the times themselves.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import jax


def take_turns(
    works: Mapping[str, Callable[[], Any]],
    turns: int,
    *,
    rest: float = 0.0,
    burst: int = 1,
) -> dict[str, list[float]]:
    """The seconds of each work in each turn, until JAX's results are ready.

    Works below a millisecond need a `rest` of a few milliseconds, because PyTorch's
    threads keep spinning on the cores after their work. They also need a `burst` of
    runs, of which the fastest counts, because the first one after a rest wakes threads.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            time.sleep(rest)
            seconds[name].append(min(_seconds(work) for _ in range(burst)))
    return seconds


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    jax.block_until_ready(work())
    return time.perf_counter() - begin


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the turns of ours / theirs."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def machine(*packages: str) -> str:
    """The processor, the device and the versions, for the head of a table."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"{platform.machine()}, {os.cpu_count()} cores; "
        f"JAX on {jax.devices()[0].platform}\n"
        f"Python {platform.python_version()}, {versions}"
    )
