"""What the benchmarks share: works that take turns, and the machine they ran on.

Turns, because a machine's noise comes and goes: within one turn it meets all alike, so
that the ratio within a turn is steadier than any of its seconds.
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
    works: Mapping[str, Callable[[], Any]], turns: int
) -> dict[str, list[float]]:
    """The seconds of each work in each turn; JAX's results are waited for."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            begin = time.perf_counter()
            jax.block_until_ready(work())
            seconds[name].append(time.perf_counter() - begin)
    return seconds


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
