"""Six optimizers, 5000 steps each, beside PyTorch in the same run; and a race.

    python -m benchmarks.optimizers [--turns 5]

The notebook's loop in PyTorch against six scans in one compiled program, float32. The
first call, which compiles, is timed too, in each turn with optimizers that are new to
JAX. Then a race of 6 optimizers x 32 learning rates x 32 starts x 1000 steps, which
would take PyTorch's loop hours. Measure on an idle machine.
"""

import statistics
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
import tyro

from benchmarks._timing import machine, ratio, take_turns
from experiments._command import run_as_script, section, table
from experiments.optimizers import FACTORIES, LRS, START, STEPS
from jaxgrad.descent import SURFACES, Path, Race, descend, race

TORCH, FIRST, THEN = "PyTorch", "JAX, first call (compiles)", "JAX, then"
SPHERE = SURFACES["sphere"]
# The program runs for a millisecond: optimising it takes longer than it saves.
QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}


@cache
def known_options() -> dict[str, Any]:
    """The options of `QUICKLY` that this version of XLA has."""
    known = {}
    for name, value in QUICKLY.items():
        with suppress(jax.errors.JaxRuntimeError):
            jax.jit(jnp.negative, compiler_options={name: value})(1.0)
            known[name] = value
    return known


@dataclass(frozen=True)
class Config:
    """Six optimizers, 5000 steps each, beside PyTorch in the same run; and a race."""

    turns: int = 5
    """Number of timings of each."""
    steps: int = STEPS
    """Steps of each optimizer; the notebook's 5000."""


class Result(NamedTuple):
    """The seconds of every turn, and the distances between the paths."""

    seconds: dict[str, list[float]]
    race_seconds: dict[str, list[float]]
    distances: dict[str, float]
    """The largest distance between the points of both frameworks, by optimizer."""
    race: Race


def torch_paths(steps: int = STEPS) -> dict[str, np.ndarray]:
    """The notebook's loop: the point after each step, shape (steps, 2)."""
    paths = {}
    for name in FACTORIES:
        x, y = (torch.tensor(value, requires_grad=True) for value in START)
        optimizer = getattr(torch.optim, name)([x, y], lr=LRS[name])
        points, heights = [], []
        for _ in range(steps):
            optimizer.zero_grad()
            height = x**2 + y**2
            height.backward()
            optimizer.step()
            points.append((x.item(), y.item()))
            heights.append(height.item())
        paths[name] = np.array(points)
    return paths


def jax_paths(steps: int = STEPS) -> Callable[[jax.Array], dict[str, Path]]:
    """The same six in one function, which is not compiled yet."""
    optimizers = {name: make(LRS[name]) for name, make in FACTORIES.items()}
    return jax.jit(
        lambda start: {
            name: descend(optimizer, SPHERE.function, start, steps)
            for name, optimizer in optimizers.items()
        },
        compiler_options=known_options(),
    )


def large_race() -> Race:
    """6 optimizers x 32 learning rates x 32 starts x 1000 steps."""
    low, high = jnp.asarray(SPHERE.bounds)
    starts = jax.random.uniform(jax.random.key(0), (32, 2), minval=low, maxval=high)
    return race(FACTORIES, SPHERE, starts, jnp.logspace(-4, 1, 32), 1000)


def run(config: Config) -> Result:
    """Warm up, then time all in turns."""
    if min(config.turns, config.steps) < 1:
        raise ValueError(
            f"expected --turns and --steps >= 1, got {config.turns} and "
            f"{config.steps} instead"
        )
    start, compiled = jnp.asarray(START), jax_paths(config.steps)
    first_race = take_turns({FIRST: large_race}, 1)
    ours, theirs = compiled(start), torch_paths(config.steps)
    works = {
        TORCH: partial(torch_paths, config.steps),
        FIRST: lambda: jax_paths(config.steps)(start),
        THEN: lambda: compiled(start),
    }
    return Result(
        seconds=take_turns(works, config.turns),
        race_seconds=first_race | take_turns({THEN: large_race}, config.turns),
        distances={
            name: float(np.max(np.abs(ours[name].points - theirs[name])))
            for name in FACTORIES
        },
        race=large_race(),
    )


def report(result: Result) -> None:
    """Print the machine, the seconds with their ratios, and the distances."""
    section(
        f"Six optimizers on x^2 + y^2, float32, n = {len(result.seconds[TORCH])} turns",
        f"{machine('torch', 'jax', 'optax')}; "
        f"PyTorch uses {torch.get_num_threads()} threads",
    )
    rows = [
        (name, *_digits(min(s), statistics.median(s), ratio(s, result.seconds[TORCH])))
        for name, s in result.seconds.items()
    ]
    header = ("", "seconds: least", "median", "median of the ratios to PyTorch")
    section("Seconds", table(header, rows))
    section(
        "Agreement: the largest distance of a point from PyTorch's",
        table(("optimizer", "distance"), list(result.distances.items())),
    )
    section(
        "Race of 6 x 32 learning rates x 32 starts x 1000 steps: seconds",
        table(
            ("", "least", "median"),
            [
                (name, *_digits(min(s), statistics.median(s)))
                for name, s in result.race_seconds.items()
            ],
        )
        + f"\n\n{result.race}",
    )


def main(argv: Sequence[str] | None = None) -> Result:
    """Time and report."""
    config = tyro.cli(Config, args=argv, prog="python -m benchmarks.optimizers")
    result = run(config)
    report(result)
    return result


def _digits(*numbers: float) -> tuple[float, ...]:
    return tuple(float(f"{number:.3g}") for number in numbers)


if __name__ == "__main__":
    run_as_script(main)
