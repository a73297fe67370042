"""The cost of looking inside: the MNIST perceptron's gradient, checked and explained.

    python -m benchmarks.explain [--turns 200]

784-1024-512-10, a batch of 256. `jax.jit(jax.value_and_grad(f))`, the same with the
finiteness check, and `explain` take turns: first their later calls, then their first
calls, each with a new function. `explain` traces the function on every call and
compiles it unless it has compiled the same program before. Goal: the check takes at
most 1.05 times as long. Measure on an idle machine.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import _frame as frame
from experiments.mnist_mlp import mlp
from jaxgrad import checked_value_and_grad, explain
from jaxgrad.losses import cross_entropy

PLAIN = "jit(value_and_grad)"
CHECKED = "checked_value_and_grad"
SUMMARY, ARRAYS = 'explain(keep="summary")', 'explain(keep="arrays")'
GOAL = 1.05


@dataclass(frozen=True)
class Config:
    """The MNIST perceptron's gradient: plain, checked and explained."""

    turns: int = 200
    """Number of timings of the later calls."""
    first_calls: int = 5
    """Number of timings of the first call."""
    batch_size: int = 256
    """Images per batch."""
    seed: int = 0
    """The key of the parameters and the images."""


def network_and_inputs(config: Config) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The perceptron, and the inputs of its loss."""
    of_params, of_images = jax.random.split(jax.random.key(config.seed))
    apply, params = mlp(of_params)
    images = jax.random.uniform(of_images, (config.batch_size, 28, 28))
    return apply, (params, images, jnp.arange(config.batch_size) % 10)


def new_works(apply: Callable[..., Any], inputs: Any) -> dict[str, frame.Work]:
    """The functions to time, not compiled yet; each returns value and gradients."""
    scale = random.uniform(1, 2)  # makes the program differ from every compiled one

    def loss(params, images, labels):
        return scale * cross_entropy(apply(params, images), labels)

    def explained(explainer: Callable[..., Any]) -> Any:
        report = explainer(*inputs)
        return report.value, report.gradients

    return {
        PLAIN: partial(jax.jit(jax.value_and_grad(loss)), *inputs),
        CHECKED: partial(checked_value_and_grad(loss), *inputs),
        SUMMARY: partial(explained, explain(loss, keep="summary")),
        ARRAYS: partial(explained, explain(loss, keep="arrays")),
    }


def run(config: Config) -> tuple[frame.Seconds, frame.Seconds]:
    """Time the later calls in turns, then the first calls."""
    frame.at_least(config, turns=1, first_calls=1, batch_size=1)
    new = partial(new_works, *network_and_inputs(config))
    works = new()
    frame.take_turns(works, turns=0, warm_up=3)
    peaks = {name: f"{frame.peak(work, 5):.1f}" for name, work in works.items()}
    later = frame.take_turns(works, config.turns)
    uncompiled = {name: lambda name=name: new()[name]() for name in works}
    first = frame.take_turns(uncompiled, config.first_calls)
    title = f"MNIST perceptron 784-1024-512-10, batch {config.batch_size}, gradients"
    n = f"{config.turns} later calls, {config.first_calls} first calls"
    frame.heading(title, n, "jax", "jaxlib", "flax")
    goals = dict.fromkeys(works, "") | {CHECKED: f"<= {GOAL:g}"}
    more = {"goal": goals, "peak MiB": peaks}
    frame.section("Later calls", frame.times(later, PLAIN, "ms", more))
    frame.section("First calls, which compile", frame.times(first, PLAIN, "ms"))
    return later, first


main = frame.benchmark("explain", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
