"""The options of the experiment on MNIST."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.mnist_mlp._optimizers import Optimizer, Schedule


@dataclass(frozen=True)
class Config:
    """A perceptron of three layers learns MNIST."""

    dataset: Literal["auto", "mnist", "digits"] = "auto"
    """What to learn; auto is MNIST if a folder, the cache or the network gives it, else
    scikit-learn's digits."""
    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    epochs: int = 20
    """How often the training set is passed."""
    batch_size: int = 256
    """Examples per step."""
    optimizer: Optimizer = "sgd"
    """Optax's optimizer."""
    lr: float | None = None
    """Learning rate; by default one that suits the optimizer (sgd 0.01, adam 0.001)."""
    schedule: Schedule = "constant"
    """How the learning rate goes over the run: cosine and linear fall to 0, one-cycle
    climbs to it first."""
    seed: int = 0
    """Of the first parameters and of the order of the examples."""
    target_accuracy: float | None = None
    """Test accuracy to be reached, as 0.92 or 92; exit code 1 if it is missed."""
    lessons: bool = True
    """Whether to show, beside the training, what the notebook says of batch sizes,
    no_grad, changed parameters and own arrays, which takes as long as 7 epochs; and
    the loss on the training set after each epoch, which takes a third of one."""
    output_dir: Path = Path("results/mnist_mlp")
    """Where the pictures and metrics.jsonl go."""
    checkpoint_dir: Path | None = None
    """Save the run in this folder after each epoch; made if it is missing."""
    save_every: int | None = None
    """Save after as many steps, not only after each epoch."""
    keep: int = 3
    """How many checkpoints to keep."""
    resume: bool = False
    """Go on from the newest checkpoint, if there is one, to the same bits."""
    coordinator: str | None = None
    """HOST:PORT of the first of several processes (docs/scaling.md)."""
    num_processes: int | None = None
    """How many processes there are."""
    process_id: int | None = None
    """Which of them this is, from 0."""
    distributed: bool = False
    """One of several processes, as the cluster says (Slurm, GKE, TPU)."""


# What a run may change when it goes on from a checkpoint. The data set counts by what
# it holds, the learning rate by its value, `epochs` only where a schedule needs it.
MAY_DIFFER = {
    "dataset",
    "data_dir",
    "epochs",
    "lr",
    "target_accuracy",
    "lessons",
    "output_dir",
    "checkpoint_dir",
    "save_every",
    "keep",
    "resume",
    "coordinator",
    "num_processes",
    "process_id",
    "distributed",
}


def check(config: Config) -> None:
    """ValueError that names the option that makes no sense."""

    def expect(holds: bool, option: str, what: str, value: float | None) -> None:
        if not holds:
            raise ValueError(f"{option}: expected {what}, got {value} instead.")

    lr, target = config.lr, config.target_accuracy
    expect(config.epochs >= 1, "--epochs", "at least 1", config.epochs)
    expect(config.batch_size >= 1, "--batch-size", "at least 1", config.batch_size)
    every = config.save_every
    expect(every is None or every >= 1, "--save-every", "at least 1", every)
    expect(config.keep >= 1, "--keep", "at least 1", config.keep)
    _check_checkpointing(config)
    expect(lr is None or 0 < lr < math.inf, "--lr", "a positive number", lr)
    expect(
        target is None or 0 < target <= 100,
        "--target-accuracy",
        "a share in (0, 1] or per cent up to 100",
        target,
    )


def _check_checkpointing(config: Config) -> None:
    if config.checkpoint_dir is None and (config.resume or config.save_every):
        option = "--resume" if config.resume else "--save-every"
        raise ValueError(f"{option}: expected --checkpoint-dir with it, got none.")
