"""Value and gradient of every activation, compared with PyTorch in the same run.

    python -m benchmarks.activations

A million float32 numbers. Both libraries use all cores and take turns of a rest and
eight runs; the fastest run of each counts, since noise only adds. Claim: the geometric
mean of the ratios to PyTorch is at most 1.0, and none is above 1.5. Exit code 1 if not.
"""

from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks import _frame as frame
from jaxgrad import activations

# Activations whose other arguments have defaults.
PLAIN = (
    "relu relu6 hardtanh hardsigmoid hardswish leaky_relu rrelu hardshrink softshrink "
    "elu celu selu softplus logsigmoid sigmoid tanh tanhshrink softsign silu mish gelu "
    "glu prelu"
).split()
# Each activation with its arguments without a default.
OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {} for name in PLAIN},
    "threshold": {"threshold": 0.5, "value": -1.0},
    "gelu (tanh)": {"approximate": "tanh"},
    **{name: {"axis": -1} for name in ("softmax", "log_softmax", "softmin")},
}
MOST, MEAN = 1.5, 1.0
PACE: Any = {"warm_up": 3, "rest": 0.01, "burst": 8}


@dataclass(frozen=True)
class Config:
    """Value and gradient of every activation, compared with PyTorch in the same run."""

    turns: int = 60
    """Number of timings of each; the claim needs at least 40."""
    only: str = ""
    """Names of activations, separated by spaces; all by default."""


def arrays(name: str) -> tuple[list[np.ndarray], np.ndarray]:
    """A thousand rows of a thousand normal numbers (and a slope), and a cotangent."""
    x = np.random.default_rng(0).normal(size=(1000, 1000)).astype(np.float32)
    shape = (1000, 500) if name == "glu" else x.shape
    cotangent = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    slope = [np.full(1, 0.25, np.float32)] if name == "prelu" else []
    return [2 * x, *slope], cotangent


def by_jaxgrad(name: str) -> frame.Work:
    """Value and gradients in one compiled function."""
    function = getattr(activations, name.split()[0])

    @jax.jit
    def value_and_gradients(x, cotangent):
        value, pull_back = jax.vjp(lambda *x: function(*x, **OPTIONS[name]), *x)
        return value, pull_back(cotangent)

    x, cotangent = jax.tree.map(jnp.asarray, arrays(name))
    return lambda: value_and_gradients(x, cotangent)


def by_torch(name: str) -> frame.Work:
    """Value and gradients as in a training loop."""
    function = getattr(torch.nn.functional, name.split()[0])
    options = {{"axis": "dim"}.get(key, key): v for key, v in OPTIONS[name].items()}
    x, cotangent = jax.tree.map(torch.tensor, arrays(name))

    def work() -> Any:
        value = function(*x, **options)
        return value, torch.autograd.grad(value, x, cotangent)

    for tensor in x:
        tensor.requires_grad_(True)
    return work


def run(config: Config) -> dict[str, frame.Seconds]:
    """Time every activation against its PyTorch namesake."""
    frame.at_least(config, turns=1)
    names = config.only.split() or list(OPTIONS)
    if unknown := " ".join(name for name in names if name not in OPTIONS):
        known = ", ".join(OPTIONS)
        raise ValueError(f"--only: expected some of {known}, got {unknown} instead.")
    seconds = {}
    for name in names:
        works = {"jaxgrad": by_jaxgrad(name), "torch": by_torch(name)}
        seconds[name] = frame.take_turns(works, config.turns, **PACE)
    report(config, seconds)
    return seconds


def report(config: Config, seconds: dict[str, frame.Seconds]) -> None:
    """Print the fastest times and their ratios, the largest ratio first."""
    title = "Value and gradient, 1,000,000 float32"
    frame.heading(title, f"{config.turns} turns", "jax", "torch")
    rows = []
    for name, both in seconds.items():
        ours, theirs = (1e3 * min(taken) for taken in both.values())
        rows.append((name, ours, theirs, ours / theirs))
    rows.sort(key=lambda row: -row[-1])
    header = ("activation", "jaxgrad ms", "torch ms", "ratio")
    frame.section("Fastest runs", frame.table(header, rows))
    largest, mean = rows[0][-1], geometric_mean(row[-1] for row in rows)
    figures = f"geometric mean {mean:.2f} <= {MEAN}, largest {largest:.2f} <= {MOST}"
    frame.claim(figures, mean <= MEAN and largest <= MOST)


main = frame.benchmark("activations", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
