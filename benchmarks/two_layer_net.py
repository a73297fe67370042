"""The two-layer network's 500 steps, compared with PyTorch in the same run.

    python -m benchmarks.two_layer_net [--turns 20]

The notebook's loop in PyTorch against the same 500 steps as one jitted `lax.scan`, from
the same start, in float32. The first call, which compiles, is timed too; each turn uses
a function that JAX has not compiled. Measure on an idle machine: on a busy one the
threads of PyTorch wait for each other, and its loop takes many times as long.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import torch
import tyro

from benchmarks._timing import machine, ratio, take_turns
from experiments._command import run_as_script, section, table
from experiments._frame import at_least
from experiments.two_layer_net import STEPS, Data, Weights, start, train

TORCH, FIRST, LATER = "PyTorch", "JAX, first call (compiles)", "JAX, later calls"


@dataclass(frozen=True)
class Config:
    """The two-layer network's 500 steps, compared with PyTorch in the same run."""

    turns: int = 10
    """How often each is timed."""
    steps: int = STEPS
    """Steps of gradient descent; the notebook's 500."""
    seed: int = 0
    """Seed of the start."""


class Result(NamedTuple):
    """The seconds of every turn, and both curves."""

    seconds: dict[str, list[float]]
    torch_losses: np.ndarray
    jax_losses: np.ndarray


def torch_train(
    weights: Weights, data: Data, learning_rate: float = 1e-6, steps: int = STEPS
) -> np.ndarray:
    """The notebook's loop: the loss before each step, shape (steps,)."""
    w1, w2 = (torch.tensor(np.asarray(w), requires_grad=True) for w in weights)
    x, y = (torch.tensor(np.asarray(a)) for a in data)
    losses = []
    for _ in range(steps):
        loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
        losses.append(loss.detach())
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                gradient = w.grad
                assert gradient is not None
                w -= learning_rate * gradient
                gradient.zero_()
    return torch.stack(losses).numpy()


def jax_train(steps: int = STEPS) -> Callable[[Weights, Data], jax.Array]:
    """The same steps, in a function that JAX has not compiled yet."""
    return jax.jit(lambda weights, data: train(weights, data, steps=steps)[1])


def run(config: Config) -> Result:
    """Warm up, then time all three in turn."""
    at_least(config, turns=1, steps=1)
    net = jax.jit(start)(jax.random.key(config.seed))
    by_torch, compiled = (
        partial(torch_train, steps=config.steps),
        jax_train(config.steps),
    )
    jax_losses, torch_losses = np.asarray(compiled(*net)), by_torch(*net)
    works = {
        TORCH: lambda: by_torch(*net),
        FIRST: lambda: jax_train(config.steps)(*net),
        LATER: lambda: compiled(*net),
    }
    return Result(take_turns(works, config.turns), torch_losses, jax_losses)


def report(result: Result) -> None:
    """Print the machine, the seconds with their ratios, and the agreement."""
    turns, steps = len(result.seconds[TORCH]), len(result.jax_losses)
    section(
        f"Two-layer network 64-1000-100-10, {steps} steps, float32, n = {turns} turns",
        f"{machine('torch', 'jax')}; PyTorch uses {torch.get_num_threads()} threads",
    )
    rows = [
        (name, *(round(x, 4) for x in (min(s), statistics.median(s), relative)))
        for name, s in result.seconds.items()
        for relative in [ratio(s, result.seconds[TORCH])]
    ]
    header = ("", "fastest", "median", "median ratio to PyTorch")
    section("Seconds", table(header, rows))
    apart = np.abs(result.jax_losses / result.torch_losses - 1)
    section(
        "Agreement",
        f"The losses differ by at most {apart[:100].max():.0e} of their value in the "
        f"first 100 steps, {apart.max():.0e} in all {steps}.",
    )


def main(argv: Sequence[str] | None = None) -> Result:
    """Time and report."""
    config = tyro.cli(Config, args=argv, prog="python -m benchmarks.two_layer_net")
    result = run(config)
    report(result)
    return result


if __name__ == "__main__":
    run_as_script(main)
