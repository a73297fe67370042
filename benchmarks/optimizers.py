"""Six optimizers, 5000 steps each, compared with PyTorch in the same run; and a race.

    python -m benchmarks.optimizers [--turns 5]

The notebook's loop in PyTorch against six scans in one compiled program, float32. The
first call, which compiles, is timed too, in each turn with optimizers that JAX has not
compiled. Then a race of 6 optimizers x 32 learning rates x 32 starts x 1000 steps,
which would take PyTorch's loop hours. Measure on an idle machine.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks import _frame as frame
from experiments.optimizers import FACTORIES, LRS, START, STEPS
from jaxgrad.descent import SURFACES, Path, Race, descend, race

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
    """Six optimizers, 5000 steps each, compared with PyTorch; and a race."""

    turns: int = 5
    """Number of timings of each."""
    steps: int = STEPS
    """Steps of each optimizer; the notebook's 5000."""


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


def jax_paths(steps: int = STEPS) -> Callable[[], dict[str, Path]]:
    """The same six in one function, which is not compiled yet."""
    optimizers = {name: make(LRS[name]) for name, make in FACTORIES.items()}

    @partial(jax.jit, compiler_options=known_options())
    def paths(start):
        return {
            name: descend(optimizer, SPHERE.function, start, steps)
            for name, optimizer in optimizers.items()
        }

    return partial(paths, jnp.asarray(START))


def large_race() -> Race:
    """6 optimizers x 32 learning rates x 32 starts x 1000 steps."""
    low, high = jnp.asarray(SPHERE.bounds)
    starts = jax.random.uniform(jax.random.key(0), (32, 2), minval=low, maxval=high)
    return race(FACTORIES, SPHERE, starts, jnp.logspace(-4, 1, 32), 1000)


def run(config: Config) -> frame.Seconds:
    """Time the paths of both in turns, and the race."""
    frame.at_least(config, turns=1, steps=1)
    by_torch = partial(torch_paths, config.steps)
    by_jax = partial(jax_paths, config.steps)
    seconds = frame.first_and_later(by_torch, by_jax, config.turns)
    races = frame.take_turns({frame.FIRST: large_race}, 1)
    races |= frame.take_turns({frame.LATER: large_race}, config.turns)
    title = "Six optimizers on x^2 + y^2, float32"
    frame.heading(title, f"{config.turns} turns", "torch", "jax", "optax")
    frame.section("Time", frame.times(seconds, frame.TORCH))
    ours, theirs = by_jax()(), by_torch()
    apart = {name: np.abs(ours[name].points - theirs[name]) for name in FACTORIES}
    rows = [(name, float(distances.max())) for name, distances in apart.items()]
    title = "Agreement: the largest distance of a point from PyTorch's"
    frame.section(title, frame.table(("optimizer", "distance"), rows))
    title = "Race of 6 x 32 learning rates x 32 starts x 1000 steps"
    frame.section(title, f"{frame.times(races)}\n\n{large_race()}")
    return seconds


main = frame.benchmark("optimizers", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
