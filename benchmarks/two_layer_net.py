"""The two-layer network's 500 steps, compared with PyTorch in the same run.

    python -m benchmarks.two_layer_net [--turns 20]

The notebook's loop in PyTorch against the same 500 steps as one jitted `lax.scan`, from
the same start, in float32. The first call, which compiles, is timed too; each turn uses
a function that JAX has not compiled. Measure on an idle machine: on a busy one the
threads of PyTorch wait for each other, and its loop takes many times as long.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import torch

from benchmarks import _frame as frame
from experiments.two_layer_net import STEPS, Data, Weights, start, train


@dataclass(frozen=True)
class Config:
    """The two-layer network's 500 steps, compared with PyTorch in the same run."""

    turns: int = 10
    """Number of timings of each."""
    steps: int = STEPS
    """Steps of gradient descent; the notebook's 500."""
    seed: int = 0
    """Seed of the start."""


class Result(NamedTuple):
    """The seconds of every turn, and both curves."""

    seconds: frame.Seconds
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


def run(config: Config) -> Result:
    """Time PyTorch, the first and later calls in turn, and keep both curves."""
    frame.at_least(config, turns=1, steps=1)
    net = jax.jit(start)(jax.random.key(config.seed))

    by_torch = partial(torch_train, *net, steps=config.steps)

    def new() -> Callable[[], jax.Array]:
        return partial(jax.jit(lambda *net: train(*net, steps=config.steps)[1]), *net)

    seconds = frame.first_and_later(by_torch, new, config.turns)
    result = Result(seconds, by_torch(), np.asarray(new()()))
    report(config, result)
    return result


def report(config: Config, result: Result) -> None:
    """Print the machine, the times with their ratios, and the agreement."""
    title = f"Two-layer network 64-1000-100-10, {config.steps} steps, float32"
    frame.heading(title, f"{config.turns} turns", "torch", "jax")
    frame.section("Time", frame.times(result.seconds, frame.TORCH))
    apart = np.abs(result.jax_losses / result.torch_losses - 1)
    print(
        f"\nThe losses' largest relative difference is {apart[:100].max():.0e} in the "
        f"first 100 steps, {apart.max():.0e} in all {config.steps}."
    )


main = frame.benchmark("two_layer_net", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
