"""Value and gradient of every activation, beside PyTorch in the same run.

    python -m benchmarks.activations

A million float32 numbers. Both libraries use all cores and take turns of a rest and
eight runs; the fastest run of each counts, since noise only adds. Claim: the geometric
mean of the ratios to PyTorch is at most 1.0, and none is above 1.5. Exit code 1 if not.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
import tyro

from benchmarks._timing import machine, take_turns
from experiments._command import run_as_script, section, table
from jaxgrad import activations

# Each activation with its arguments that have no default.
OPTIONS: dict[str, dict[str, Any]] = {
    name: {}
    for name in (
        "relu relu6 hardtanh hardsigmoid hardswish leaky_relu rrelu hardshrink "
        "softshrink elu celu selu softplus logsigmoid sigmoid tanh tanhshrink softsign "
        "silu mish gelu glu"
    ).split()
}
OPTIONS |= {
    "threshold": {"threshold": 0.5, "value": -1.0},
    "gelu (tanh)": {"approximate": "tanh"},
    "softmax": {"axis": -1},
    "log_softmax": {"axis": -1},
    "softmin": {"axis": -1},
    "prelu": {},
}
MOST, MEAN = 1.5, 1.0


@dataclass(frozen=True)
class Config:
    """Value and gradient of every activation, beside PyTorch in the same run."""

    turns: int = 60
    """Number of timings of each; the claim needs at least 40."""
    only: str = ""
    """Names of activations, separated by spaces; all by default."""


class Result(NamedTuple):
    """The fastest time of value and gradient in seconds, by activation."""

    jaxgrad: dict[str, float]
    torch: dict[str, float]

    def ratios(self) -> dict[str, float]:
        """Jaxgrad's time over PyTorch's."""
        return {name: t / self.torch[name] for name, t in self.jaxgrad.items()}

    def mean(self) -> float:
        """The geometric mean of the ratios."""
        ratios = self.ratios().values()
        return math.exp(sum(map(math.log, ratios)) / len(ratios))


def run(config: Config) -> Result:
    """Time every activation against PyTorch's of the same name."""
    if config.turns < 1:
        raise ValueError(f"expected --turns >= 1, got {config.turns} instead")
    names = config.only.split() or list(OPTIONS)
    unknown = set(names) - set(OPTIONS)
    if unknown:
        raise ValueError(f"expected --only of {', '.join(OPTIONS)}, got {unknown}")
    result = Result({}, {})
    for name in names:
        works = {"jaxgrad": work_in_jaxgrad(name), "torch": work_in_torch(name)}
        take_turns(works, 3)  # compile and warm up
        seconds = take_turns(works, config.turns, rest=0.01, burst=8)
        result.jaxgrad[name] = min(seconds["jaxgrad"])
        result.torch[name] = min(seconds["torch"])
    return result


def arrays(name: str) -> list[np.ndarray]:
    """A thousand rows of a thousand normal numbers, and the slope of prelu."""
    x = np.random.default_rng(0).normal(size=(1000, 1000)).astype(np.float32)
    return [2 * x, np.full(1, 0.25, np.float32)] if name == "prelu" else [2 * x]


def cotangent(name: str) -> np.ndarray:
    """The cotangent of the result, in its shape."""
    shape = (1000, 500) if name == "glu" else (1000, 1000)
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def work_in_jaxgrad(name: str) -> Callable[[], Any]:
    """Value and gradients in one compiled function."""
    function = getattr(activations, name.split()[0])

    @jax.jit
    def value_and_gradients(weights, *x):
        value, pull_back = jax.vjp(lambda *x: function(*x, **OPTIONS[name]), *x)
        return value, pull_back(weights)

    x = [jnp.asarray(array) for array in arrays(name)]
    weights = jnp.asarray(cotangent(name))
    return lambda: value_and_gradients(weights, *x)


def work_in_torch(name: str) -> Callable[[], Any]:
    """Value and gradients as in a training loop."""
    function = getattr(torch.nn.functional, name.split()[0])
    options = {{"axis": "dim"}.get(key, key): v for key, v in OPTIONS[name].items()}
    x = [torch.tensor(array, requires_grad=True) for array in arrays(name)]
    weights = torch.tensor(cotangent(name))

    def work() -> Any:
        value = function(*x, **options)
        return value, torch.autograd.grad(value, x, weights)

    return work


def report(result: Result) -> None:
    """Print the seconds and their ratios, the largest first."""
    ratios = result.ratios()
    rows = [
        (name, 1e3 * result.jaxgrad[name], 1e3 * result.torch[name], ratios[name])
        for name in sorted(ratios, key=ratios.__getitem__, reverse=True)
    ]
    header = ("activation", "jaxgrad ms", "torch ms", "ratio")
    section("Value and gradient, 1,000,000 float32", table(header, rows))
    print(
        f"\n{machine('jax', 'torch')}, {torch.get_num_threads()} threads\n"
        f"geometric mean {result.mean():.2f} (claim: at most {MEAN}), "
        f"largest {max(ratios.values()):.2f} (claim: at most {MOST})"
    )


def main(argv: Sequence[str] | None = None) -> Result:
    """Parse, run, report."""
    result = run(tyro.cli(Config, args=argv, prog="python -m benchmarks.activations"))
    report(result)
    return result


def _exit_with_verdict() -> None:
    result = main()
    if result.mean() > MEAN or max(result.ratios().values()) > MOST:
        sys.exit(1)


if __name__ == "__main__":
    run_as_script(_exit_with_verdict)
