"""The cost of saving a run after every epoch.

    python -m benchmarks.checkpoints --data-dir FOLDER [--epochs 20]

784-1024-512-10 on MNIST, batches of 256, with SGD and with Adam, whose state is three
times as large. Each turn trains an epoch and evaluates the test set, as `fit` does, and
saves the state. Both are timed in the same run, which removes the noise between runs.
Claim: with SGD, the notebook's optimizer, saving takes less than 3 % of an epoch's
time. Exit code 1 if not. Measure on an idle machine, on the disk you will use.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import _frame as frame
from benchmarks import _mnist as mnist
from jaxgrad.datasets import Dataset, load
from jaxgrad.training import checkpoints

CLAIM = 0.03
KEPT = 3
RUN: checkpoints.Run = {"network": "784-1024-512-10"}


@dataclass(frozen=True)
class Config(mnist.Options):
    """The cost of saving a run after every epoch."""

    folder: Path | None = None
    """An empty folder to save in; by default a temporary one."""
    epochs: int = 20
    """Epochs to time, after one that compiles."""


def run(config: Config) -> frame.Seconds:
    """Train and save with each optimizer."""
    frame.at_least(config, epochs=1, batch_size=1)
    dataset = load("mnist", config.data_dir)
    seconds, megabytes, shares = {}, {}, {}
    for name in mnist.OPTIMIZERS:
        with tempfile.TemporaryDirectory(dir=config.folder) as folder:
            epochs, saves, size = timed(config, dataset, name, Path(folder))
        epoch, save = f"{name}, an epoch", f"{name}, saving"
        seconds |= {epoch: epochs, save: saves}
        megabytes |= {epoch: "", save: f"{size / 1e6:.1f}"}
        shares |= {epoch: "", save: f"{sum(saves) / sum(epochs):.1%}"}
    title, n = "Saving after every epoch", f"{config.epochs} epochs"
    frame.heading(title, n, "jax", "flax", "optax")
    more = {"MB": megabytes, "fraction of the epochs": shares}
    frame.section("Time", frame.times(seconds, unit="ms", more=more))
    sgd = sum(seconds["sgd, saving"]) / sum(seconds["sgd, an epoch"])
    frame.claim(f"fraction with sgd {sgd:.1%} < {CLAIM:.0%}", sgd < CLAIM)
    return seconds


def timed(
    config: Config, dataset: Dataset, optimizer: str, folder: Path
) -> tuple[list[float], list[float], int]:
    """The seconds of each epoch and of each save, and the bytes of a checkpoint.

    The first epoch compiles and does not count.
    """
    checkpoints.prepare(folder, mnist.start(optimizer), RUN, keep=KEPT)
    options = {"epochs": config.epochs + 1, "batch_size": config.batch_size}
    epochs, saves, size = [], [], 0
    begin = time.perf_counter()
    for progress in mnist.train(optimizer, dataset, **options):
        reached = time.perf_counter()
        path = checkpoints.save(folder, progress, RUN, keep=KEPT)
        saved = time.perf_counter()
        epochs.append(reached - begin)
        saves.append(saved - reached)
        size = path.stat().st_size
        begin = time.perf_counter()
    return epochs[1:], saves[1:], size


main = frame.benchmark("checkpoints", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
