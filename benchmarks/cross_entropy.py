"""Value and gradient of cross-entropy over many classes, compared with PyTorch.

    python -m benchmarks.cross_entropy

By default 1024 samples of 32,000 classes in float32, with class weights and a tenth of
the labels ignored, like the last layer of a language model. Both libraries use all
cores and take turns; the fastest run of each counts, since noise only adds. Claim: at
most half of PyTorch's time. Exit code 1 if not.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks import _frame as frame
from jaxgrad.losses import cross_entropy

CLAIM = 0.5


@dataclass(frozen=True)
class Config:
    """Value and gradient of cross-entropy over many classes, compared with PyTorch."""

    batch: int = 1024
    """Number of samples."""
    classes: int = 32_000
    """Number of classes."""
    turns: int = 40
    """Number of timings of each."""


def arrays(samples: int, classes: int) -> list[np.ndarray]:
    """Logits, labels and class weights; a tenth of the labels is -100 and ignored."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, samples)
    return [
        rng.normal(size=(samples, classes)).astype(np.float32),
        np.where(rng.random(samples) < 0.1, -100, labels),
        rng.uniform(0.5, 2, classes).astype(np.float32),
    ]


def by_jaxgrad(arrays: list[np.ndarray]) -> frame.Work:
    """Value and gradient in one compiled function."""
    value_and_gradient = jax.jit(jax.value_and_grad(cross_entropy))
    inputs = [jnp.asarray(array) for array in arrays]
    return lambda: value_and_gradient(*inputs)


def by_torch(arrays: list[np.ndarray]) -> frame.Work:
    """Value and gradient as in a training loop."""
    logits, labels, weight = (torch.tensor(array) for array in arrays)
    logits.requires_grad_(True)

    def work() -> Any:
        value = torch.nn.functional.cross_entropy(logits, labels, weight)
        return value, *torch.autograd.grad(value, logits)

    return work


def run(config: Config) -> frame.Seconds:
    """Compare the results of both, and time them in turns."""
    frame.at_least(config, batch=1, classes=1, turns=1)
    inputs = arrays(config.batch, config.classes)
    works = {"jaxgrad": by_jaxgrad(inputs), "torch": by_torch(inputs)}
    value, gradient = (np.asarray(result) for result in works["jaxgrad"]())
    expected, its_gradient = (result.detach().numpy() for result in works["torch"]())
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    apart = np.abs(gradient - its_gradient).max()
    seconds = frame.take_turns(works, config.turns, warm_up=2)
    title = f"Value and gradient, {config.batch} x {config.classes} float32"
    frame.heading(title, f"{config.turns} turns", "jax", "torch")
    frame.section("Time", frame.times(seconds, "torch", "ms"))
    print(f"\nThe gradients are at most {apart:.1e} apart.")
    ratio = min(seconds["jaxgrad"]) / min(seconds["torch"])
    frame.claim(f"ratio of the fastest runs {ratio:.2f} <= {CLAIM}", ratio <= CLAIM)
    return seconds


main = frame.benchmark("cross_entropy", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
