"""Prepare the training and run it: silently, or recorded and saved on the way."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import optax

from experiments._mnist_mlp import metrics, processes
from experiments._mnist_mlp.config import Config, checkpoint_folder, expect
from experiments._mnist_mlp.digits import HOW_TO_GET_MNIST, settings
from experiments._mnist_mlp.network import Apply, mlp, summary
from experiments._mnist_mlp.optimizers import make_optimizer
from experiments._mnist_mlp.resuming import Saver
from experiments._terminal import section, shows_bars
from jaxgrad import training
from jaxgrad.datasets import Dataset, load
from jaxgrad.losses import cross_entropy

HIDDEN = (1024, 512)
MOVES_PER_EPOCH = 20  # of the bar

example_loss = partial(cross_entropy, reduction="none")
"""One loss per example: the training takes the mean itself."""

Run = Iterator[training.Progress]
Learned = tuple[training.TrainState, tuple[training.Epoch, ...]]


class Task(NamedTuple):
    """Everything that the options determine before the first step."""

    config: Config  # with the batch size and the rate that suit the data set
    batch_size: int
    dataset: Dataset
    apply: Apply
    optimizer: optax.GradientTransformation
    lr: float
    start: training.TrainState
    steps: int  # of an epoch


def prepare(config: Config) -> Task:
    """Load the data, initialize the network and create the optimizer."""
    dataset = load(config.dataset, config.data_dir)
    n, (size, lr) = len(dataset.train.labels), settings(config, dataset.name)
    config = replace(config, batch_size=size, lr=lr)
    most = f"at most {n}, the training images of {dataset.name}"
    expect(size <= n, "--batch-size", most, size)
    steps = training.count_batches(n, size).steps
    optimizer, lr = make_optimizer(
        config.optimizer, config.schedule, lr, config.epochs * steps
    )
    start_key, train_key = jax.random.split(jax.random.key(config.seed))
    apply, params = mlp(start_key, _sizes(dataset))
    start = training.init(train_key, params, optimizer)
    return Task(config, size, dataset, apply, optimizer, lr, start, steps)


def _sizes(dataset: Dataset) -> tuple[int, ...]:
    pixels = math.prod(dataset.train.images.shape[1:])
    return pixels, *HIDDEN, dataset.num_classes


def learn(
    task: Task,
    config: Config,
    start: training.Progress | None = None,
    follow: Callable[[Run], Run] = iter,
) -> Learned:
    """Train all epochs from `start` on; `follow` wraps the iterator over the run."""
    last = training.Progress(task.start) if start is None else start
    options: Any = {name: getattr(config, name) for name in ("epochs", "save_every")}
    options["batch_size"] = task.batch_size
    options["evaluate_training"] = config.side_runs
    options["mesh"] = training.data_mesh() if jax.device_count() > 1 else None
    network = task.apply, example_loss, task.optimizer
    run = training.advance(*network, last, task.dataset, **options)
    for reached in follow(run):
        last = reached
    return processes.local(last.state), last.completed


def train_and_record(task: Task, config: Config) -> Learned:
    """`learn` with what `metrics` shows and checkpoints; a signal raises Stopped."""
    run_identity = identity(task)
    processes.check_same("the same run", run_identity)
    start, saver = training.Progress(task.start), None
    if folder := checkpoint_folder(config):
        saver = Saver(folder, run_identity, config.keep)
        start = saver.begin(start, resume=config.resume)
    done = int(start.state.epoch)
    least = f"at least {done}, which the checkpoint has completed"
    expect(config.epochs >= done, "--epochs", least, config.epochs)
    first, path = processes.is_first(), config.output_dir / "metrics.jsonl"
    if first:
        metrics.begin(path, start.completed)
        introduce(task, start.completed)

    def follow(run: Run) -> Run:
        run = run if saver is None else saver.saved(run)
        return metrics.recorded(run, path, show) if first else run

    with metrics.bar(start, config.epochs * task.steps) as show:
        if shows_bars() and saver is None and jax.process_count() == 1:
            # Each result moves the bar; how many there are changes no bit of the run.
            config = replace(config, save_every=max(1, task.steps // MOVES_PER_EPOCH))
        learned = learn(task, config, start, follow)
    if not first:
        raise processes.Stopped(0)
    return learned


def introduce(task: Task, completed: Sequence[training.Epoch]) -> None:
    """Print what is trained and how, and the head of the table of epochs."""
    config, dataset, size = task.config, task.dataset, task.batch_size
    steps, last = training.count_batches(len(dataset.train.labels), size)
    lines = [str(dataset), f"{steps} batches of {size} an epoch, {last} in the last"]
    if config.dataset == "auto" and dataset.name == "digits":
        lines += ["These are NOT the notebook's data.", HOW_TO_GET_MNIST]
    section("The data", "\n".join(lines))
    section("The network", summary(task.start.params))
    section(
        f"Training: {config.optimizer}, lr {task.lr:g}, {config.schedule}",
        f"{metrics.LEGEND}\n\n{metrics.below_columns(*metrics.COLUMNS)}",
    )
    for epoch in completed:
        print(metrics.line(epoch), flush=True)


def identity(task: Task) -> dict[str, Any]:
    """What identifies the run: a checkpoint that differs in any of it is refused."""
    config, names = task.config, ["batch_size", "optimizer", "schedule", "seed"]
    if config.schedule != "constant":  # a constant rate does not depend on them
        names.append("epochs")
    return {name: getattr(config, name) for name in names} | {
        "lr": task.lr,
        "network": "-".join(map(str, _sizes(task.dataset))),
        "data": f"{task.dataset.name}, SHA-256 {task.dataset.sha256()[:16]}",
    }
