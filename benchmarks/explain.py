"""What looking inside costs: the MNIST perceptron's gradient, explained and checked.

    python -m benchmarks.explain [--turns 200]

784-1024-512-10, a batch of 256, everything compiled before. `jax.value_and_grad` under
`jax.jit`, the same with the finiteness check, and the explained one take turns. The
claims: with `keep="summary"` explaining takes at most twice the time, and the check at
most 1.05 times. Measure on an idle machine: while the device computes, an explanation
traces the function in Python, which needs a core of its own.
"""

import ctypes
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import tyro

from benchmarks._timing import machine, ratio, take_turns
from experiments._command import run_as_script, section, table
from experiments.mnist_mlp import mlp
from jaxgrad import checked_value_and_grad, explain
from jaxgrad.losses import cross_entropy

PLAIN = "jit(value_and_grad)"
CHECKED = "checked_value_and_grad"
SUMMARY, ARRAYS = 'explain(keep="summary")', 'explain(keep="arrays")'
CLAIMS = {CHECKED: 1.05, SUMMARY: 2.0}
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Config:
    """The MNIST perceptron's gradient: plain, checked and explained."""

    turns: int = 200
    """How often each is timed."""
    batch_size: int = 256
    """Images per batch."""
    seed: int = 0
    """The key of the parameters and the images."""


class Result(NamedTuple):
    """The seconds of every turn, and the memory that each needs at its peak."""

    seconds: dict[str, list[float]]
    peaks: dict[str, float | None]  # MiB; None where the system does not tell


def works_of(config: Config) -> dict[str, Callable[[], Any]]:
    """What is timed; each gives the value and the gradients."""
    of_params, of_images = jax.random.split(jax.random.key(config.seed))
    apply, params = mlp(of_params)
    images = jax.random.uniform(of_images, (config.batch_size, 28, 28))
    labels = jnp.arange(config.batch_size) % 10

    def loss(params, images, labels):
        logits = apply(params, images)
        return cross_entropy(logits, labels)

    plain = jax.jit(jax.value_and_grad(loss))
    checked = checked_value_and_grad(loss)
    summary, arrays = (explain(loss, keep=keep) for keep in ("summary", "arrays"))

    def numbers(explained: Callable[..., Any]) -> Any:
        report = explained(params, images, labels)
        return report.value, report.gradients

    return {
        PLAIN: lambda: plain(params, images, labels),
        CHECKED: lambda: checked(params, images, labels),
        SUMMARY: lambda: numbers(summary),
        ARRAYS: lambda: numbers(arrays),
    }


def peak(work: Callable[[], Any], times: int = 5) -> float | None:
    """By how many MiB the process grows at most while it works (Linux)."""
    if not CLEAR.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)  # so that what lies about free is not reused
    CLEAR.write_text("5")  # the peak so far is forgotten
    before = _status("VmRSS")
    for _ in range(times):
        jax.block_until_ready(work())
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    """A field of this process's status, in KiB."""
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith(field))
    return int(line.split()[1])


def run(config: Config) -> Result:
    """Compile all, then let them take turns."""
    if min(config.turns, config.batch_size) < 1:
        raise ValueError("expected --turns and --batch-size of at least 1")
    works = works_of(config)
    for _ in range(3):
        for work in works.values():
            jax.block_until_ready(work())
    peaks = {name: peak(work) for name, work in works.items()}
    return Result(take_turns(works, config.turns), peaks)


def report(result: Result) -> None:
    """Print the machine, the times with their ratios, and the peaks of memory."""
    turns = len(result.seconds[PLAIN])
    section(
        f"MNIST perceptron 784-1024-512-10, value and gradients, n = {turns} turns",
        machine("jax", "jaxlib", "flax"),
    )
    header = ("", "ms: least", "median", "median ratio", "ratio of the least")
    section("Time", table((*header, "claimed", "peak MiB"), _rows(result)))


def _rows(result: Result) -> list[tuple[Any, ...]]:
    plain = result.seconds[PLAIN]
    return [
        (
            name,
            f"{1e3 * min(seconds):.2f}",
            f"{1e3 * statistics.median(seconds):.2f}",
            f"{ratio(seconds, plain):.2f}",
            f"{min(seconds) / min(plain):.2f}",
            f"<= {CLAIMS[name]:g}" if name in CLAIMS else "",
            _shown(result.peaks, name),
        )
        for name, seconds in result.seconds.items()
    ]


def _shown(peaks: Mapping[str, float | None], name: str) -> str:
    mib = peaks[name]
    return "unknown" if mib is None else f"{mib:.1f}"


def main(argv: Sequence[str] | None = None) -> Result:
    """Time and report."""
    config = tyro.cli(Config, args=argv, prog="python -m benchmarks.explain")
    result = run(config)
    report(result)
    return result


if __name__ == "__main__":
    run_as_script(main)
