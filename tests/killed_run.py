"""A small training run in its own process, for tests that kill it.

It is the experiment with fewer units on scikit-learn's digits: checkpoints, rows,
signals and resuming are the experiment's. The fork server imports this module, so each
process starts with everything loaded.
"""

import contextlib
import io
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import jax
import sklearn.datasets  # noqa: F401 (the digits: importing takes a second)

from experiments._mnist_mlp import learning, metrics
from experiments._mnist_mlp.config import Config
from experiments._mnist_mlp.processes import Stopped
from jaxgrad import training

EPOCHS, STEPS, SAVE_EVERY = 6, 45, 13


def config(folder: Path, *, resume: bool = False) -> Config:
    """The options of the run in `folder`."""
    return Config(
        dataset="digits",
        epochs=EPOCHS,
        batch_size=32,
        save_every=SAVE_EVERY,
        optimizer="adam",
        side_runs=False,
        resume=resume,
        checkpoint_dir=folder / "checkpoints",
        output_dir=folder,
    )


def train(folder: Path, resume: bool, cache: Path, pipe: Connection) -> None:
    """Train to the end; sends 0, then each step reached, then the digest."""
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    learning.HIDDEN = (32,)
    options = config(folder, resume=resume)
    task = learning.prepare(options)
    metrics.position = lambda reached: pipe.send(int(reached.state.step)) or {}
    pipe.send(0)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            state, _ = learning.train_and_record(task, options)
    except Stopped as stopped:
        sys.exit(stopped.code)
    pipe.send(training.sha256(state.params))
