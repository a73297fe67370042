"""A small training run in a process of its own, to be killed.

The network of the experiment with few units learns scikit-learn's digits; everything
else is the experiment's: checkpoints, rows, signals, resuming. The fork server imports
this file, so that each process starts with everything loaded.
"""

import contextlib
import io
from multiprocessing.connection import Connection
from pathlib import Path

import jax
import sklearn.datasets  # noqa: F401 (the digits: an import of a second)

from experiments import mnist_mlp as experiment
from experiments.mnist_mlp import _metrics
from jaxgrad.mnist import model

EPOCHS, STEPS, SAVE_EVERY = 6, 45, 13


def config(folder: Path, *, resume: bool = False) -> experiment.Config:
    """The run in `folder`."""
    return experiment.Config(
        dataset="digits",
        epochs=EPOCHS,
        batch_size=32,
        save_every=SAVE_EVERY,
        optimizer="adam",
        lessons=False,
        resume=resume,
        checkpoint_dir=folder / "checkpoints",
        output_dir=folder,
    )


def train(folder: Path, resume: bool, cache: Path, pipe: Connection) -> None:
    """Train to the end; says 0, then each step reached, then the parameters' digest."""
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    experiment.HIDDEN = (32,)
    options = config(folder, resume=resume)
    task = experiment.prepare(options)
    _metrics.show = lambda bar, progress: pipe.send(int(progress.state.step))
    pipe.send(0)
    with contextlib.redirect_stderr(io.StringIO()):
        state, _ = experiment.learn_in_the_open(task, options)
    pipe.send(model.sha256(state.params))
