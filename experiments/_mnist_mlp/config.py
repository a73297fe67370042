"""The options of the MNIST experiment."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments._frame import Options, at_least
from experiments._mnist_mlp.optimizers import Optimizer, Schedule


@dataclass(frozen=True)
class Config(Options):
    """A perceptron with three layers learns MNIST."""

    dataset: Literal["auto", "mnist", "digits"] = "auto"
    """The data set; auto is MNIST if a folder, the cache or the network provides it,
    else scikit-learn's digits."""
    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    epochs: int = 20
    """Number of passes over the training set."""
    batch_size: int | None = None
    """Examples per step; by default the notebook's 256, and 32 on the digits."""
    optimizer: Optimizer = "sgd"
    """An Optax optimizer."""
    lr: float | None = None
    """Learning rate; by default one that suits the optimizer (sgd 0.01, on the digits
    0.3; adam 0.001)."""
    schedule: Schedule = "constant"
    """How the learning rate changes over the run: cosine and linear fall to 0,
    one-cycle rises to the learning rate first."""
    seed: int = 0
    """Seed of the initial parameters and of the order of the examples."""
    target_accuracy: float | None = None
    """Test accuracy to reach, as 0.92 or 92; exit code 1 if the run misses it."""
    side_runs: bool = True
    """Whether to also measure what the notebook says about batch sizes, no_grad,
    changed parameters and your own arrays, which takes as long as 7 epochs, and the
    loss on the training set after each epoch, which takes a third of an epoch."""
    output_dir: Path = Path("results/mnist_mlp")
    """Folder for the pictures and metrics.jsonl."""
    checkpoint_dir: Path | None = None
    """Save the run in this folder after each epoch; the folder is created."""
    save_every: int | None = None
    """Also save after every so many steps."""
    keep: int = 3
    """How many checkpoints to keep."""
    resume: bool = False
    """Continue from the newest checkpoint, if there is one, to the same bits."""
    coordinator: str | None = None
    """HOST:PORT of the first of several processes (docs/scaling.md)."""
    num_processes: int | None = None
    """Number of processes."""
    process_id: int | None = None
    """Number of this process, counted from 0."""
    join_seconds: int = 15
    """How long to wait for all of them to start."""
    distributed: bool = False
    """Read the coordinator and both numbers from the cluster (Slurm, GKE, TPU)."""


def checkpoint_folder(config: Config) -> Path | None:
    """The absolute path, because the working directory may change during the run."""
    folder = config.checkpoint_dir
    return None if folder is None else folder.expanduser().absolute()


def check(config: Config) -> None:
    """Raise a ValueError that names the first invalid option."""
    at_least(config, epochs=1, keep=1, join_seconds=1)
    if config.batch_size is not None:
        at_least(config, batch_size=1)
    if config.save_every is not None:
        at_least(config, save_every=1)
    alone = config.checkpoint_dir is None and (config.resume or config.save_every)
    option = "--resume" if config.resume else "--save-every"
    expect(not alone, option, "--checkpoint-dir with it", "none")
    lr, target = config.lr, config.target_accuracy
    expect(lr is None or 0 < lr < math.inf, "--lr", "a positive number", lr)
    share = "a share in (0, 1] or a percentage up to 100"
    expect(target is None or 0 < target <= 100, "--target-accuracy", share, target)
    _check_processes(config)


def expect(holds: bool, option: str, what: str, got: object) -> None:
    """Raise a ValueError that names the option unless the condition holds."""
    if not holds:
        raise ValueError(f"{option}: expected {what}, got {got} instead.")


def _check_processes(config: Config) -> None:
    address, count, rank = config.coordinator, config.num_processes, config.process_id
    names = "--coordinator, --num-processes and --process-id"
    none, got = address is count is rank is None, f"{address}, {count}, {rank}"
    if config.distributed:
        expect(none, "--distributed", f"the cluster to set {names}", got)
    if address is None or count is None or rank is None:
        expect(none, names, "all three or none", got)
        return
    _, colon, port = address.rpartition(":")
    expect(bool(colon) and port.isdigit(), "--coordinator", "HOST:PORT", address)
    expect(0 <= rank < count, "--process-id", f"0 to {count - 1}", rank)
