"""Judge many faults, each in a process of its own.

Importing JAX takes longer than most experiments, so it is imported once: every process
is a fork of this one, which never starts JAX's backend, and begins by importing the
code under test. Programs that a fault does not change come from a common cache.
"""

import importlib
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.mutants.judging import failing_rows
from tests.mutants.planting import Fault, changed, plant

# What the experiments import, except the code under test.
LIBRARIES = (
    "jax jax.numpy jax.scipy.special jax.experimental optax flax.nnx matplotlib.figure "
    "matplotlib.pyplot sklearn.datasets tyro rich.progress jaxtyping"
).split()
WORKERS = 2
SECONDS = 120  # after which a process ends itself
SETTINGS = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compile in half the time
}


class Verdict(NamedTuple):
    """What became of a fault, or of the unchanged experiment."""

    rows: list[str]  # that disagree
    error: str  # the exception's first line, if one was raised
    seconds: float  # of processor time


def judge(faults: Sequence[Fault]) -> Iterator[tuple[Fault, Verdict]]:
    """The verdict for each fault, in the order in which they are found."""
    for fault in faults:
        changed(fault)  # an error at once
    with TemporaryDirectory() as folder:
        # JAX reads them when it is imported.
        os.environ.update(SETTINGS | {"JAX_COMPILATION_CACHE_DIR": folder})
        for library in LIBRARIES:
            importlib.import_module(library)
        yield from _forked(faults, Path(folder))


def unchanged(experiment: str) -> Fault:
    """No fault at all: the experiment must agree with every row."""
    file = "experiments/_reproduction.py"
    return Fault("unchanged", experiment, file, "def compare(", "def compare(")


def _forked(faults: Sequence[Fault], folder: Path) -> Iterator[tuple[Fault, Verdict]]:
    waiting, running = list(enumerate(faults)), {}
    while waiting or running:
        while waiting and len(running) < WORKERS:
            number, fault = waiting.pop(0)
            running[_fork(fault, folder / f"{number}.json")] = number
        process, status = os.wait()
        number = running.pop(process)
        yield faults[number], _read(folder / f"{number}.json", status)


def _fork(fault: Fault, result: Path) -> int:
    """Judge the fault in a new process, which writes the verdict; return its id."""
    process = os.fork()
    if process:
        return process
    try:
        signal.alarm(SECONDS)
        result.write_text(json.dumps(verdict(fault)), encoding="utf-8")
    finally:
        os._exit(0)  # without the handlers at exit, which belong to the parent


def _read(result: Path, status: int) -> Verdict:
    if status or not result.exists():
        return Verdict([], f"the process ended with status {status}", 0.0)
    return Verdict(*json.loads(result.read_text(encoding="utf-8")))


def verdict(fault: Fault) -> Verdict:
    """Plant the fault in this process, and judge its experiment."""
    rows, error = [], ""
    try:
        plant(fault)
        rows = failing_rows(fault.experiment)
    except Exception as raised:  # an experiment that raises is a verdict
        error = f"{type(raised).__name__}: {raised}".splitlines()[0]
    return Verdict(rows, error, time.process_time())
