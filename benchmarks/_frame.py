"""The common structure of the benchmarks: options, timing in turns, tables, main.

A benchmark is one module. Its docstring states the claim. It defines `Config`, a
dataclass of its options, and `run(config)`, which times, prints and returns. It ends
with

    main = frame.benchmark("name", Config, run)

    if __name__ == "__main__":
        frame.run_as_script(main)

A machine's noise changes slowly and affects everything within one turn alike, so the
ratio of two times from the same turn is steadier than the times themselves. On a busy
machine bind a benchmark to one core: `taskset -c 0 python -m benchmarks.name`.
"""

import ctypes
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import jax
import tyro

from experiments._command import run_as_script as run_as_script
from experiments._command import section as section
from experiments._command import table as table
from experiments._frame import at_least as at_least

Result = TypeVar("Result")
Work: TypeAlias = Callable[[], Any]
Clock: TypeAlias = Callable[[], float]
Seconds: TypeAlias = dict[str, list[float]]
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
TORCH, FIRST, LATER = "PyTorch", "JAX, first call (compiles)", "JAX, later calls"


def benchmark(
    name: str, config: type[Any], run: Callable[[Any], Result]
) -> Callable[..., Result]:
    """Return the benchmark's `main`: parse the options, run, return the result.

    `main(argv)` takes a list of options, by default the command line's.
    """

    def main(argv: Sequence[str] | None = None) -> Result:
        return run(tyro.cli(config, args=argv, prog=f"python -m benchmarks.{name}"))

    return main


def claim(statement: str, holds: bool) -> None:
    """Print a claim with its figures. If it does not hold, exit with code 1."""
    print(f"\nThe claim {'holds' if holds else 'does not hold'}: {statement}.")
    if not holds:
        sys.exit(1)


def take_turns(
    works: Mapping[str, Work],
    turns: int,
    *,
    warm_up: int = 0,
    rest: float = 0.0,
    burst: int = 1,
    clock: Clock | None = None,
) -> Seconds:
    """The seconds of each work in each turn, until JAX's results are ready.

    The first `warm_up` turns do not count. Works below a millisecond need a `rest` of a
    few milliseconds, because PyTorch's threads keep spinning afterwards, and a `burst`
    of runs, of which the fastest counts, because the first run after a rest wakes
    threads. `clock` is that of the machine; on one core it is the CPU time.
    """
    clock = clock or (time.process_time if on_one_core() else time.perf_counter)
    for _ in range(warm_up):
        for work in works.values():
            jax.block_until_ready(work())
    seconds: Seconds = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            time.sleep(rest)
            seconds[name].append(min(_seconds(work, clock) for _ in range(burst)))
    return seconds


def on_one_core() -> bool:
    """Whether the process may use one core only, as under `taskset -c 0`.

    Then the CPU time is measured, which other programs on the machine hardly change.
    With several cores it also counts the spinning of threads that wait for others.
    """
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) == 1


def _seconds(work: Work, clock: Clock) -> float:
    begin = clock()
    jax.block_until_ready(work())
    return clock() - begin


def first_and_later(by_torch: Work, new: Callable[[], Work], turns: int) -> Seconds:
    """Time PyTorch, the first call and later calls of `new()`, not yet compiled."""
    compiled = new()
    works = {TORCH: by_torch, FIRST: lambda: new()(), LATER: compiled}
    return take_turns(works, turns, warm_up=1)


def peak(work: Work, times: int = 1) -> float:
    """The largest growth of the process during `work`, in MiB; NaN except on Linux."""
    if not CLEAR.exists():
        return math.nan
    ctypes.CDLL(None).malloc_trim(0)  # return freed memory to the system
    CLEAR.write_text("5")  # reset the recorded peak
    before = _status("VmRSS")
    for _ in range(times):
        jax.block_until_ready(work())
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    """A field of this process's status, in KiB."""
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith(field))
    return int(line.split()[1])


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the turns of ours / theirs."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def ratio_line(ours: str, theirs: str, seconds: Mapping[str, Sequence[float]]) -> str:
    value = ratio(seconds[ours], seconds[theirs])
    return f"{ours} / {theirs}: {value:.2f} (median of the turns)"


def times(
    seconds: Mapping[str, Sequence[float]],
    base: str = "",
    unit: str = "s",
    more: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> str:
    """A table with the minimum, median and maximum time of each work.

    With a `base`, also the median over the turns of the ratio to it, and the ratio of
    the minima. `more` holds further columns by title.
    """
    header = ["", f"min {unit}", "median", "max"]
    if base:
        header += [f"ratio to {base}", "ratio of minima"]
    scale = {"s": 1, "ms": 1e3}[unit]
    rows = []
    for name, taken in seconds.items():
        numbers = [scale * f(taken) for f in (min, statistics.median, max)]
        if base:
            numbers += [ratio(taken, seconds[base]), min(taken) / min(seconds[base])]
        digits = [float(f"{number:.4g}") for number in numbers]
        rows.append((name, *digits, *(column[name] for column in more.values())))
    return table([*header, *more], rows)


def _cores() -> str:
    count = os.cpu_count()
    return f"CPU time on one of {count} cores" if on_one_core() else f"{count} cores"


def heading(title: str, n: str, *packages: str) -> None:
    """Print what is timed and how often, the machine, its load, and the versions."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    if "torch" in packages:
        import torch

        versions += f"; PyTorch uses {torch.get_num_threads()} threads"
    section(
        f"{title}, n = {n}",
        f"{platform.machine()}, {_cores()}, load {os.getloadavg()[0]:.1f}; "
        f"JAX on {jax.devices()[0].platform}\n"
        f"Python {platform.python_version()}, {versions}",
    )
