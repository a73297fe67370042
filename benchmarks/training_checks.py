"""The cost of watching a training run, and of stopping it at the first NaN.

    python -m benchmarks.training_checks --data-dir FOLDER [--epochs 10]

784-1024-512-10 on MNIST, batches of 256, with SGD and with Adam. The runs take turns
epoch by epoch: unchecked, stopping at the first loss or parameter that is not finite
(the default), and with `watch=10`. Claims, for SGD: stopping takes at most 1.02 times
the time, watching every tenth step at most 1.10 times. Exit code 1 if not. Measure on
an idle machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import optax

from benchmarks import _frame as frame
from experiments.mnist_mlp import mlp
from jaxgrad import training
from jaxgrad.datasets import Dataset, load
from jaxgrad.losses import cross_entropy

SIZES = (784, 1024, 512, 10)
OPTIMIZERS = {"sgd": optax.sgd(0.01), "adam": optax.adam(1e-3)}
UNCHECKED, STOPPING, WATCHED = "unchecked", "stopping", "watched"
OPTIONS: dict[str, dict[str, Any]] = {
    UNCHECKED: {"stop_at_nonfinite": False},
    STOPPING: {},
    WATCHED: {"stop_at_nonfinite": False, "watch": 10},
}
MOST = {STOPPING: 1.02, WATCHED: 1.10}
example_loss = partial(cross_entropy, reduction="none")


@dataclass(frozen=True)
class Config:
    """The cost of watching a training run, and of stopping it at the first NaN."""

    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR or the cache."""
    epochs: int = 10
    """Epochs to time, after one that compiles."""
    batch_size: int = 256
    """Examples per step."""


def run(config: Config) -> dict[str, frame.Seconds]:
    """Time the runs with each optimizer."""
    frame.at_least(config, epochs=1, batch_size=1)
    dataset = load("mnist", config.data_dir)
    n = f"{config.epochs} epochs"
    frame.heading("Checks of a training run", n, "jax", "flax", "optax")
    results = {name: timed(config, dataset, name) for name in OPTIMIZERS}
    for name, seconds in results.items():
        frame.section(f"An epoch, {name}", frame.times(seconds, base=UNCHECKED))
    for name, most in MOST.items():
        ratio = frame.ratio(results["sgd"][name], results["sgd"][UNCHECKED])
        frame.claim(f"{name}, sgd: {ratio:.3f} <= {most}", ratio <= most)
    return results


def timed(config: Config, dataset: Dataset, optimizer: str) -> frame.Seconds:
    """The seconds of each epoch of each run, without evaluation."""
    apply, params = mlp(jax.random.key(0), SIZES)
    network = apply, example_loss, OPTIMIZERS[optimizer]
    start = training.Progress(
        training.init(jax.random.key(1), params, OPTIMIZERS[optimizer])
    )
    fixed: Any = {"epochs": config.epochs + 1, "batch_size": config.batch_size}
    runs: dict[str, Iterator[training.Progress]] = {
        name: training.advance(*network, start, dataset, **fixed, **options)
        for name, options in OPTIONS.items()
    }
    seconds: frame.Seconds = {name: [] for name in runs}
    for _ in range(config.epochs + 1):
        for name, each in runs.items():
            seconds[name].append(next(each).completed[-1].seconds)
    return {name: taken[1:] for name, taken in seconds.items()}


main = frame.benchmark("training_checks", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
