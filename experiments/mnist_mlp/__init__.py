"""A perceptron of three layers learns MNIST, as in the notebook: 20 epochs of SGD.

    python -m experiments.mnist_mlp --data-dir FOLDER [--target-accuracy 0.92]

Prints the network, the data, the losses and the accuracy of every epoch, and what the
notebook says beside them: why the training loss lies above the test loss, what no_grad
saves, how parameters are changed between epochs, arrays of one's own. Without MNIST it
learns scikit-learn's digits. Writes pictures and metrics.jsonl, a row per epoch; ends
with the digest of the parameters, which is the same for the same options.

With --checkpoint-dir it can be killed and goes on with --resume (`_survival`); over
all devices it finds, and over several processes (docs/scaling.md), it learns the same.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments._command import parse, save_figures, section, table
from experiments.mnist_mlp import _metrics, _processes, _survival
from experiments.mnist_mlp._config import MAY_DIFFER, Config, check
from experiments.mnist_mlp._judgement import (
    curve_figures,
    judgement_figures,
    report_judgement,
)
from experiments.mnist_mlp._lessons import (
    Lessons,
    example_loss,
    lessons,
    report_lessons,
)
from experiments.mnist_mlp._optimizers import make_optimizer
from jaxgrad.mnist import checkpoints, model, training
from jaxgrad.mnist.assessment import Assessment, assess, learning_curves
from jaxgrad.mnist.data import Dataset, load

HIDDEN = (1024, 512)
NOTEBOOK = {"optimizer": "sgd", "lr": 0.01, "batch_size": 256, "epochs": 20}


class Task(NamedTuple):
    """All that the options decide before the first step."""

    dataset: Dataset
    apply: model.Apply
    optimizer: optax.GradientTransformation
    lr: float
    start: training.TrainState


class Result(NamedTuple):
    """What was learned, and what was seen beside it."""

    config: Config
    lr: float
    dataset: Dataset
    params: Any
    epochs: tuple[training.Epoch, ...]
    judged: Assessment
    lessons: Lessons | None


Run = Iterator[training.Progress]
Follow = Callable[[Run], Run]
Learned = tuple[training.TrainState, tuple[training.Epoch, ...]]


def run(
    config: Config, learning: Callable[[Task, Config], Learned] | None = None
) -> Result:
    """Train and measure.

    Args:
        config: The options.
        learning: What trains; by default `learn`, which writes and shows nothing.
    """
    task = prepare(config)
    last, epochs = (learning or learn)(task, config)
    return Result(
        config=config,
        lr=task.lr,
        dataset=task.dataset,
        params=last.params,
        epochs=epochs,
        judged=assess(
            task.apply, last.params, task.dataset.test, white=task.dataset.white
        ),
        lessons=_lessons_of(task, last, config) if config.lessons else None,
    )


def _lessons_of(task: Task, last: training.TrainState, config: Config) -> Lessons:
    return lessons(
        task.apply,
        task.optimizer,
        task.start,
        last,
        task.dataset,
        batch_size=config.batch_size,
        key=jax.random.fold_in(jax.random.key(config.seed), 2),
    )


def prepare(config: Config) -> Task:
    """The data, the network with its first parameters, and the optimizer."""
    check(config)
    dataset = load(config.dataset, config.data_dir)
    _check_batch_size(config.batch_size, dataset)
    per_epoch = training.batches(len(dataset.train.labels), config.batch_size).steps
    steps = config.epochs * per_epoch
    optimizer, lr = make_optimizer(config.optimizer, config.schedule, config.lr, steps)
    start_key, train_key = jax.random.split(jax.random.key(config.seed))
    pixels = math.prod(dataset.train.images.shape[1:])
    apply, params = model.mlp(start_key, (pixels, *HIDDEN, dataset.num_classes))
    return Task(
        dataset, apply, optimizer, lr, training.init(train_key, params, optimizer)
    )


def learn(
    task: Task,
    config: Config,
    start: training.Progress | None = None,
    follow: Follow = iter,
) -> Learned:
    """All epochs: the last state, and what was told about each.

    Args:
        task: What to learn.
        config: The options.
        start: Where to go on; by default the first step.
        follow: Given the run, an iterator over what it reaches, returns the same run
            and does what it likes in between.
    """
    last = training.Progress(task.start) if start is None else start
    several = jax.device_count() > 1
    steps = training.advance(
        task.apply,
        example_loss,
        task.optimizer,
        last,
        task.dataset,
        epochs=config.epochs,
        batch_size=config.batch_size,
        save_every=config.save_every,
        evaluate_training=config.lessons,
        mesh=training.data_mesh() if several else None,
    )
    for reached in follow(steps):
        last = reached
    return _processes.local(last.state), last.completed


def learn_in_the_open(task: Task, config: Config) -> Learned:
    """`learn` with a bar, metrics.jsonl and checkpoints; only one process returns."""
    start = training.Progress(task.start)
    if jax.process_count() > 1:
        together = {"epochs": config.epochs, "save_every": config.save_every}
        _processes.check_same("options", str(identity(task, config) | together))
    survival = _survival_of(task, config)
    if survival is not None:
        start = survival.begin(start, resume=config.resume)
    _check_epochs(config.epochs, int(start.state.epoch))
    first = _processes.is_first()
    if first:
        _metrics.begin(config.output_dir / "metrics.jsonl", start.completed)
    steps = training.batches(len(task.dataset.train.labels), config.batch_size).steps
    with _metrics.progress_bar(start, config.epochs * steps, hidden=not first) as bar:

        def follow(run: Run) -> Run:
            run = run if survival is None else survival.saved(run)
            if not first:
                return run
            return _metrics.followed(run, config.output_dir / "metrics.jsonl", bar)

        learned = learn(task, config, start, follow)
    if not first:
        sys.exit(0)
    return learned


def _survival_of(task: Task, config: Config) -> _survival.Survival | None:
    if config.checkpoint_dir is None:
        return None
    # Absolute, for a run may change its folder.
    folder = config.checkpoint_dir.expanduser().absolute()
    return _survival.Survival(folder, identity(task, config), config.keep)


def identity(task: Task, config: Config) -> dict[str, Any]:
    """What makes a run this one: a checkpoint of another one is refused."""
    options = {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if field.name not in MAY_DIFFER
    }
    if config.schedule != "constant":
        options["epochs"] = config.epochs
    inputs = math.prod(task.dataset.train.images.shape[1:])
    return options | {
        "lr": task.lr,
        "network": "-".join(map(str, (inputs, *HIDDEN, task.dataset.num_classes))),
        "data": f"{task.dataset.name}, SHA-256 "
        + checkpoints.dataset_sha256(task.dataset)[:16],
    }


def _check_epochs(epochs: int, done: int) -> None:
    if done > epochs:
        raise ValueError(
            f"--epochs: expected at least {done}, which the checkpoint has completed, "
            f"got {epochs} instead."
        )


def _check_batch_size(batch_size: int, dataset: Dataset) -> None:
    n = len(dataset.train.labels)
    if batch_size > n:
        raise ValueError(
            f"--batch-size: expected at most {n}, the training images of "
            f"{dataset.name}, got {batch_size} instead."
        )


def averaging_share(epoch: training.Epoch) -> float:
    """How much of the gap between the losses the averaging over an epoch explains.

    The notebook's training loss is the mean over batches, of which the early ones met
    a network that had learned less. Taken after the epoch it is smaller: by this share
    of its distance to the test loss.
    """
    averaging = epoch.train_loss - _loss_after(epoch)
    return averaging / (epoch.train_loss - epoch.test_loss)


def report(result: Result) -> None:
    """Print the data, the network, the epochs and the lessons."""
    _report_data(result)
    section("The network", model.summary(result.params))
    _report_epochs(result)
    report_judgement(result.judged, result.dataset.name)
    if result.lessons is not None:
        report_lessons(result.lessons)


def _report_data(result: Result) -> None:
    dataset, size = result.dataset, result.config.batch_size
    n = len(dataset.train.labels)
    steps, last = training.batches(n, size)
    lines = [str(dataset), f"{steps} batches of {size} an epoch, {last} in the last"]
    if result.config.dataset == "auto" and dataset.name == "digits":
        lines.append(
            "These are NOT the notebook's data: MNIST was not to be had. They are few: "
            "a smaller\n--batch-size gives more steps. The notebook's results on MNIST "
            "are not reproduced."
        )
    section("The data", "\n".join(lines))


def _report_epochs(result: Result) -> None:
    body = table(
        ("epoch", "train loss", "after epoch", "test loss", "accuracy", "seconds"),
        [
            (
                epoch.epoch,
                f"{epoch.train_loss:.5f}",
                "-" if after is None else f"{after:.5f}",
                f"{epoch.test_loss:.5f}",
                f"{epoch.test_accuracy:8.2%}",
                f"{epoch.seconds:7.2f}",
            )
            for epoch in result.epochs
            for after in [epoch.train_loss_after]
        ],
    )
    settings = f"{result.config.optimizer}, lr {result.lr:g}, {result.config.schedule}"
    section(f"Training: {settings}", f"{body}\n\n{_on_the_gap(result.epochs)}")


def _on_the_gap(epochs: Sequence[training.Epoch]) -> str:
    last = epochs[-1]
    if not math.isfinite(last.train_loss):
        return "The loss is no finite number: the learning rate is too large."
    if last.train_loss <= last.test_loss:
        return (
            f"After the last epoch the train loss is {last.train_loss:.5f}, the test "
            f"loss {last.test_loss:.5f}:\nthe network knows the images that it learned "
            "from better than others."
        )
    above = sum(epoch.train_loss > epoch.test_loss for epoch in epochs)
    lines = [
        '"train loss" is the mean of the batches\' losses, as the notebook takes it;',
        '"after epoch" the loss on the training set once the epoch is over.',
        f"The train loss lies above the test loss in {above} of {len(epochs)} epochs. "
        "The notebook's",
        "reason is that it is an average over an epoch of learning. The last gap is",
        *_shares(last),
    ]
    return "\n".join(lines)


def _shares(last: training.Epoch) -> list[str]:
    """How much of the gap between the losses each reason explains."""
    gap = last.train_loss - last.test_loss
    if last.train_loss_after is None:
        return [f"{gap:.5f}; --lessons measures how much of it that explains."]
    return [
        f"{gap:.5f}, and {last.train_loss_after - last.test_loss:.5f} with the same "
        "parameters for both: averaging explains",
        f"{averaging_share(last):.0%} of it. What remains is between the images of the "
        "two sets.",
    ]


def _loss_after(epoch: training.Epoch) -> float:
    assert epoch.train_loss_after is not None  # `learn` asks for it
    return epoch.train_loss_after


def figures(result: Result) -> dict[str, Figure]:
    """The losses and the accuracy over the epochs, and what the network mistakes."""
    name = result.dataset.name.replace("mnist", "MNIST")
    curves = curve_figures(learning_curves(result.epochs), name)
    return curves | judgement_figures(result.judged, name)


def reproduced(result: Result) -> dict[str, Any]:
    """The rows of the seed's results that this run can stand for."""
    rows: dict[str, Any] = {}
    if result.lessons is not None:
        rows |= _reproduced_lessons(result.lessons)
    if result.dataset.name == "mnist":
        rows |= _reproduced_sizes(result)
        if _as_the_notebook(result) and result.lessons is not None:
            rows |= _reproduced_training(result.epochs[:20])
    return rows


def _reproduced_lessons(lessons: Lessons) -> dict[str, Any]:
    doubling = lessons.doubling
    finite = int(np.isfinite(doubling.losses).sum())
    return {
        "3.34": {"parameters": doubling.parameters, "logits": doubling.logits},
        "3.C11": f"{finite} of {len(doubling.losses)} losses finite",
        "3.C12": lessons.forgotten.split(":")[0],
    }


def _as_the_notebook(result: Result) -> bool:
    config = result.config
    return (
        len(result.epochs) >= NOTEBOOK["epochs"]
        and config.optimizer == NOTEBOOK["optimizer"]
        and config.schedule == "constant"
        and config.batch_size == NOTEBOOK["batch_size"]
        and result.lr == NOTEBOOK["lr"]
    )


def _reproduced_sizes(result: Result) -> dict[str, Any]:
    n, tests = len(result.dataset.train.labels), len(result.dataset.test.labels)
    counts = [layer.parameters for layer in model.layers(result.params)]
    rows: dict[str, Any] = {
        "3.28": [
            n,
            tests,
            *training.batches(n, NOTEBOOK["batch_size"]),
            training.batches(tests, tests).steps,
        ],
        "3.29": [*counts, model.parameter_count(result.params)],
    }
    if result.lessons is not None:
        rows["3.33"] = result.lessons.memory
    return rows


def _reproduced_training(epochs: Sequence[training.Epoch]) -> dict[str, Any]:
    first, last = epochs[0], epochs[-1]
    return {
        "3.30": {
            "epoch 0": [first.train_loss, first.test_loss],
            "epoch 19": [last.train_loss, last.test_loss],
        },
        "3.31": {
            "smallest gap": min(e.train_loss - e.test_loss for e in epochs),
            "the same, train loss after the epoch": min(
                _loss_after(e) - e.test_loss for e in epochs
            ),
            "epoch 19, train loss after the epoch": _loss_after(last),
        },
        "3.32": [100 * first.test_accuracy, 100 * last.test_accuracy],
        "3.C14": averaging_share(last),
    }


def main(argv: Sequence[str] | None = None) -> Result:
    """Train, report, and hold the accuracy against the target."""
    config = parse(Config, argv, "mnist_mlp")
    _processes.join(
        config.coordinator,
        config.num_processes,
        config.process_id,
        config.distributed,
    )
    result = run(config, learn_in_the_open)
    report(result)
    save_figures(figures(result), config.output_dir)
    print(f"parameters sha256: {model.sha256(result.params)}")
    _hold_against_target(result)
    return result


def _hold_against_target(result: Result) -> None:
    target = result.config.target_accuracy
    if target is None:
        return
    share = target if target <= 1 else target / 100
    reached = result.epochs[-1].test_accuracy
    if reached < share:
        sys.exit(f"target missed: test accuracy {reached:.2%}, expected {share:.2%}")
