"""Value and gradient of cross-entropy over many classes, beside PyTorch.

    python -m benchmarks.cross_entropy

By default 1024 samples of 32,000 classes in float32, with class weights and a tenth of
the labels ignored, like the last layer of a language model. Both libraries use all
cores and take turns; the fastest run of each counts, since noise only adds. Claim: at
most half of PyTorch's time. Exit code 1 if not.
"""

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
from jaxgrad.losses import cross_entropy

CLAIM = 0.5


@dataclass(frozen=True)
class Config:
    """Value and gradient of cross-entropy over many classes, beside PyTorch."""

    batch: int = 1024
    """Number of samples."""
    classes: int = 32_000
    """Number of classes."""
    turns: int = 40
    """Number of timings of each."""


class Result(NamedTuple):
    """The fastest times in seconds, and the largest difference of the gradients."""

    jaxgrad: float
    torch: float
    difference: float

    def ratio(self) -> float:
        """Jaxgrad's time over PyTorch's."""
        return self.jaxgrad / self.torch


class Batch(NamedTuple):
    """Logits (batch, classes), labels (batch,), weights (classes,)."""

    logits: np.ndarray
    labels: np.ndarray
    weight: np.ndarray


def run(config: Config) -> Result:
    """Time both, and compare their results."""
    if min(config.batch, config.classes, config.turns) < 1:
        raise ValueError(f"expected a batch, classes and turns >= 1, got {config}")
    batch = random_batch(config.batch, config.classes)
    works = {"jaxgrad": work_in_jaxgrad(batch), "torch": work_in_torch(batch)}
    take_turns(works, 2)  # compile and warm up
    (value, gradient), (torch_value, (torch_gradient,)) = (
        work() for work in works.values()
    )
    np.testing.assert_allclose(value, torch_value.item(), rtol=1e-5)
    difference = np.abs(np.asarray(gradient) - torch_gradient.numpy()).max()
    seconds = take_turns(works, config.turns)
    return Result(min(seconds["jaxgrad"]), min(seconds["torch"]), float(difference))


def random_batch(samples: int, classes: int) -> Batch:
    """Normal logits; a tenth of the labels is -100 and ignored."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, samples)
    return Batch(
        rng.normal(size=(samples, classes)).astype(np.float32),
        np.where(rng.random(samples) < 0.1, -100, labels),
        rng.uniform(0.5, 2, classes).astype(np.float32),
    )


def work_in_jaxgrad(batch: Batch) -> Callable[[], Any]:
    """Value and gradient in one compiled function."""
    value_and_gradient = jax.jit(jax.value_and_grad(cross_entropy))
    arrays = [jnp.asarray(array) for array in batch]
    return lambda: value_and_gradient(*arrays)


def work_in_torch(batch: Batch) -> Callable[[], Any]:
    """Value and gradient as in a training loop."""
    logits, labels, weight = (torch.tensor(array) for array in batch)
    logits.requires_grad_(True)

    def work() -> Any:
        value = torch.nn.functional.cross_entropy(logits, labels, weight)
        return value, torch.autograd.grad(value, logits)

    return work


def report(result: Result, config: Config) -> None:
    """Print the seconds and their ratio."""
    rows = [("jaxgrad", 1e3 * result.jaxgrad), ("torch", 1e3 * result.torch)]
    title = f"Value and gradient, {config.batch} x {config.classes} float32"
    section(title, table(("library", "least ms"), rows))
    print(
        f"\n{machine('jax', 'torch')}, {torch.get_num_threads()} threads\n"
        f"ratio {result.ratio():.2f} (claim: at most {CLAIM}), gradients at most "
        f"{result.difference:.1e} apart"
    )


def main(argv: Sequence[str] | None = None) -> Result:
    """Parse, run, report."""
    config = tyro.cli(Config, args=argv, prog="python -m benchmarks.cross_entropy")
    result = run(config)
    report(result, config)
    return result


def _exit_with_verdict() -> None:
    if main().ratio() > CLAIM:
        sys.exit(1)


if __name__ == "__main__":
    run_as_script(_exit_with_verdict)
