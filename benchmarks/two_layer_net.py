"""The two-layer network's 500 steps, beside PyTorch in the same run.

    python -m benchmarks.two_layer_net [--turns 20]

The notebook's loop in PyTorch against the same 500 steps as one jitted `lax.scan`, from
the same start, float32. The first call of a jitted function compiles it: it is timed
too, each turn with a function that JAX has not seen. Measure on an idle machine: on a
busy one PyTorch's threads wait for each other, and its loop takes many times as long.
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
from experiments.two_layer_net import STEPS, Data, Weights, start, train

TORCH, FIRST, THEN = "PyTorch", "JAX, first call (compiles)", "JAX, then"


@dataclass(frozen=True)
class Config:
    """The two-layer network's 500 steps, beside PyTorch in the same run."""

    turns: int = 10
    """How often each is timed."""
    steps: int = STEPS
    """Steps of gradient descent; the notebook's 500."""
    seed: int = 0
    """The key of the start."""


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
    """Warm up, then let all three take turns."""
    if min(config.turns, config.steps) < 1:
        raise ValueError(
            f"expected --turns and --steps >= 1, got {config.turns} and "
            f"{config.steps} instead"
        )
    net = jax.jit(start)(jax.random.key(config.seed))
    by_torch, compiled = (
        partial(torch_train, steps=config.steps),
        jax_train(config.steps),
    )
    jax_losses, torch_losses = np.asarray(compiled(*net)), by_torch(*net)
    works = {
        TORCH: lambda: by_torch(*net),
        FIRST: lambda: jax_train(config.steps)(*net),
        THEN: lambda: compiled(*net),
    }
    return Result(take_turns(works, config.turns), torch_losses, jax_losses)


def report(result: Result) -> None:
    """Print the machine, the seconds with their ratios, and how far both agree."""
    turns, steps = len(result.seconds[TORCH]), len(result.jax_losses)
    section(
        f"Two-layer network 64-1000-100-10, {steps} steps, float32, n = {turns} turns",
        f"{machine('torch', 'jax')}; PyTorch uses {torch.get_num_threads()} threads",
    )
    rows = [
        (name, min(s), statistics.median(s), ratio(s, result.seconds[TORCH]))
        for name, s in result.seconds.items()
    ]
    header = ("", "seconds: least", "median", "median of the ratios to PyTorch")
    section(
        "Seconds", table(header, [(n, *(round(x, 4) for x in r)) for n, *r in rows])
    )
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
