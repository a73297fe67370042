"""What the benchmarks on MNIST share: the notebook's network, runs and options."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import optax

from experiments.mnist_mlp import mlp
from jaxgrad import training
from jaxgrad.datasets import Dataset
from jaxgrad.losses import cross_entropy

SIZES = (784, 1024, 512, 10)
OPTIMIZERS = {"sgd": optax.sgd(0.01), "adam": optax.adam(1e-3)}
example_loss = partial(cross_entropy, reduction="none")


@dataclass(frozen=True)
class Options:
    """The data and the batches."""

    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR or the cache."""
    batch_size: int = 256
    """Examples per step."""


def start(optimizer: str) -> training.Progress:
    """The start of a run with one of `OPTIMIZERS`."""
    _, params = mlp(jax.random.key(0), SIZES)
    state = training.init(jax.random.key(1), params, OPTIMIZERS[optimizer])
    return training.Progress(state)


def train(optimizer: str, dataset: Dataset, **options: Any) -> Iterator[Any]:
    """A run from the start, as `training.advance` gives it."""
    apply, _ = mlp(jax.random.key(0), SIZES)
    network = apply, example_loss, OPTIMIZERS[optimizer]
    return training.advance(*network, start(optimizer), dataset, **options)
