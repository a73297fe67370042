"""The cost of watching a training run, and of stopping it at the first NaN.

    python -m benchmarks.training_checks --data-dir FOLDER [--epochs 10]

784-1024-512-10 on MNIST, with SGD and with Adam. The runs take turns epoch by epoch:
unchecked, stopping at the first loss or parameter that is not finite (the default), and
with `watch=10`. Measured is the CPU time of all threads, which other programs on the
machine hardly change. Claims, for both optimizers, as medians of the ratio to the
unchecked epoch of the same turn: stopping takes at most 1.02 times the time, watching
every tenth step at most 1.10 times. Exit code 1 if not.
"""

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks import _frame as frame
from benchmarks import _mnist as mnist
from jaxgrad.datasets import Dataset, Split, load

UNCHECKED, STOPPING, WATCHED = "unchecked", "stopping", "watched"
OPTIONS: dict[str, dict[str, Any]] = {
    UNCHECKED: {"stop_at_nonfinite": False},
    STOPPING: {},
    WATCHED: {"stop_at_nonfinite": False, "watch": 10},
}
MOST = {STOPPING: 1.02, WATCHED: 1.10}


@dataclass(frozen=True)
class Config(mnist.Options):
    """The cost of watching a training run, and of stopping it at the first NaN."""

    epochs: int = 10
    """Epochs to time, after one that compiles."""


def run(config: Config) -> dict[str, frame.Seconds]:
    """Time the runs with each optimizer."""
    frame.at_least(config, epochs=1, batch_size=1)
    dataset = load("mnist", config.data_dir)
    n = f"{config.epochs} epochs"
    frame.heading("Checks of a training run", n, "jax", "flax", "optax")
    results = {name: timed(config, dataset, name) for name in mnist.OPTIMIZERS}
    for name, seconds in results.items():
        title = f"CPU time of an epoch, {name}"
        frame.section(title, frame.times(seconds, base=UNCHECKED))
    ratios = {
        f"{kind}, {name}: {ratio:.3f} <= {most}": ratio <= most
        for name, seconds in results.items()
        for kind, most in MOST.items()
        for ratio in [frame.ratio(seconds[kind], seconds[UNCHECKED])]
    }
    frame.claim("; ".join(ratios), all(ratios.values()))
    return results


def timed(config: Config, dataset: Dataset, optimizer: str) -> frame.Seconds:
    """The seconds of each epoch of each run, with the evaluation of one image."""
    short = replace(dataset, test=Split(*(part[:1] for part in dataset.test)))
    fixed: Any = {"epochs": config.epochs + 1, "batch_size": config.batch_size}
    runs = {
        name: partial(next, mnist.train(optimizer, short, **fixed, **options))
        for name, options in OPTIONS.items()
    }
    return frame.take_turns(runs, config.epochs, warm_up=1, clock=time.process_time)


main = frame.benchmark("training_checks", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
