"""How the cost of looking inside grows with the program.

    python -m benchmarks.scale [--only mlp scan ...] [--turns 1] [--quick]

Each time is the CPU time of a first call in its own process, after JAX has compiled
a small function; each memory is how much that process grew at its peak. The exponent
is the slope of the line through the logarithms of size and time. CPU time counts all
threads, so other programs on the machine hardly change it.
"""

import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import _frame as frame
from benchmarks import _programs as programs
from jaxgrad import checked_value_and_grad, explain, find_nonfinite

JIT, EAGER = "jit(value_and_grad)", "value_and_grad, eager"
SUMMARY, ARRAYS = 'explain(keep="summary")', 'explain(keep="arrays")'
CHECKED, FIND, PRINT = "checked_value_and_grad", "find_nonfinite", "print of explain"
OfSize = Callable[[int], programs.Program]


class Cost(NamedTuple):
    """What a first call costs: seconds of CPU time and MiB at the peak."""

    seconds: float
    mebibytes: float


@dataclass(frozen=True)
class Case:
    """A program, how large it gets, what is timed, and the goals."""

    title: str
    program: OfSize
    sizes: Sequence[int]
    works: Sequence[str]  # The first is what the others are compared with
    ratio: float = math.inf  # At most this many times the first work's seconds
    memory: float = math.inf  # and memory
    exponent: float = math.inf  # and the times grow by at most this exponent
    seconds: float = math.inf  # At most this long


LOOPS: Mapping[str, tuple[OfSize, Sequence[int]]] = {
    "scan": (programs.scan, (100, 1000, 10_000)),
    "fori_loop": (programs.fori_loop, (1000, 10_000)),
    "while_loop": (programs.while_loop, (1000, 10_000)),
    "nested_scan": (programs.nested_scan, (1000, 10_000)),
    "backward_scan": (programs.backward_scan, (1000, 10_000)),
}
NETWORKS: Mapping[str, tuple[str, OfSize, Sequence[int]]] = {
    "transformer": ("GPT-2 small, 32 tokens, by layers", programs.transformer, (12,)),
    "resnet": ("ResNet-50, 2 images, by their size", programs.resnet, (64,)),
}
CASES: Mapping[str, Case] = {
    "mlp": Case(
        "Perceptron, by layers",
        programs.mlp,
        (10, 50, 200, 1000),
        (JIT, SUMMARY, ARRAYS),
        ratio=2.5,
        memory=2,
        exponent=1.1,
    ),
    "parameters": Case(
        "Product of parameter arrays, by their number",
        programs.many_arrays,
        (250, 500, 1000, 2000),
        (JIT, CHECKED),
        ratio=1.5,
    ),
    **{
        name: Case(f"NaN carried through a {name}, by passes", *loop, [FIND], seconds=5)
        for name, loop in LOOPS.items()
    },
    "print": Case(
        "Finite scan, by passes",
        programs.finite_scan,
        (1000, 100_000),
        [PRINT],
        seconds=0.5,
    ),
    **{name: Case(*net, (EAGER, FIND), ratio=2) for name, net in NETWORKS.items()},
    **{
        f"{name}_explained": Case(*net, (JIT, SUMMARY, ARRAYS), ratio=2.5)
        for name, net in NETWORKS.items()
    },
    "ode": Case(
        "diffrax, Tsit5 with a PID controller, by the time of the end",
        programs.ode,
        (1, 10, 100),
        (EAGER, FIND),
        ratio=1,
    ),
}


@dataclass(frozen=True)
class Config:
    """How the cost of looking inside grows with the program."""

    only: tuple[str, ...] = tuple(CASES)
    """The cases to measure."""
    turns: int = 1
    """Number of processes for each time."""
    quick: bool = False
    """Only the smallest size of each case."""


def prepare(work: str, f: Callable[..., Any], args: Sequence[Any]) -> frame.Work:
    """What is timed."""
    if work == PRINT:
        report = explain(f)(*args)
        return lambda: str(report)
    made = {
        JIT: lambda: jax.jit(jax.value_and_grad(f)),
        EAGER: lambda: jax.value_and_grad(f),
        SUMMARY: lambda: explain(f, keep="summary"),
        ARRAYS: lambda: explain(f, keep="arrays"),
        CHECKED: lambda: checked_value_and_grad(f),
        FIND: lambda: find_nonfinite(f),
    }[work]()
    return lambda: made(*args)


def cost(name: str, work: str, size: int) -> Cost:
    """Measure one first call in this process."""
    jax.block_until_ready(jax.jit(jax.value_and_grad(jnp.sum))(jnp.ones(3)))
    timed = prepare(work, *CASES[name].program(size))
    taken: list[float] = []

    def once() -> Any:
        begin = time.process_time()
        result = timed()
        jax.block_until_ready(getattr(result, "gradients", result))
        taken.append(time.process_time() - begin)

    mebibytes = frame.peak(once)
    return Cost(taken[0], mebibytes)


def costs(name: str, work: str, size: int, turns: int) -> Cost:
    """The median costs of several processes, one after the other."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        each = [pool.apply(cost, (name, work, size)) for _ in range(turns)]
    return Cost(*(statistics.median(column) for column in zip(*each, strict=True)))


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of the line through the logarithms; NaN for a single size."""
    if len(sizes) < 2:
        return math.nan
    logarithms = [[math.log(x) for x in column] for column in (sizes, seconds)]
    return statistics.linear_regression(*logarithms).slope


def report(case: Case, measured: Mapping[str, Sequence[Cost]]) -> str:
    """A row for each work and size: costs, ratios, exponent."""
    base = measured[case.works[0]]
    rows = []
    for work, row in measured.items():
        slope = exponent(case.sizes[: len(row)], [c.seconds for c in row])
        for size, each, first in zip(case.sizes, row, base, strict=False):
            rows.append(
                (
                    work,
                    size,
                    round(each.seconds, 3),
                    round(each.mebibytes),
                    round(each.seconds / first.seconds, 2),
                    round(each.mebibytes / max(first.mebibytes, 1), 2),
                    f"{slope:.2f}",
                )
            )
    header = ["", "size", "CPU s", "MiB", "ratio", "of memory", "exponent"]
    return frame.table(header, rows)


def goals(case: Case) -> str:
    """The goals of a case in words."""
    stated = {
        f"time at most {case.ratio:g} times that of {case.works[0]}": case.ratio,
        f"memory at most {case.memory:g} times": case.memory,
        f"exponent at most {case.exponent:g}": case.exponent,
        f"at most {case.seconds:g} s": case.seconds,
    }
    return "Goal: " + ", ".join(t for t, limit in stated.items() if limit < math.inf)


def run(config: Config) -> dict[str, dict[str, list[Cost]]]:
    """Measure case by case, and print each as it comes."""
    frame.at_least(config, turns=1)
    frame.heading("First calls", f"{config.turns} of each", "jax", "jaxlib")
    results = {}
    for name in config.only:
        case = CASES[name]
        if name == "ode" and find_spec("diffrax") is None:
            print("\node: left out, because diffrax is not installed.")
            continue
        sizes = case.sizes[:1] if config.quick else case.sizes
        results[name] = {
            work: [costs(name, work, size, config.turns) for size in sizes]
            for work in case.works
        }
        frame.section(case.title, f"{report(case, results[name])}\n{goals(case)}.")
    return results


main = frame.benchmark("scale", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
