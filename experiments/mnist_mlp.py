"""A perceptron with three layers learns MNIST, as in the notebook: 20 epochs of SGD.

    python -m experiments.mnist_mlp --data-dir FOLDER [--target-accuracy 0.92]

Prints the data, the network, the losses and the accuracy of every epoch, and examines
what the notebook says about them: why the train loss lies above the test loss, what
no_grad saves, how to change parameters between epochs, how to use your own arrays.
Without MNIST it learns scikit-learn's digits. Writes pictures and metrics.jsonl, a row
per epoch; the last line is a digest of the parameters, the same for the same options.

With --checkpoint-dir a killed run continues with --resume (`_mnist_mlp.resuming`). On
all available devices, and over several processes (docs/scaling.md), it learns the same.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from experiments._command import parse, run_as_script, save_figures
from experiments._mnist_mlp import processes
from experiments._mnist_mlp.config import Config as Config
from experiments._mnist_mlp.learning import HIDDEN as HIDDEN
from experiments._mnist_mlp.learning import (
    Learned,
    Task,
    learn,
    prepare,
    train_and_record,
)
from experiments._mnist_mlp.network import mlp as mlp
from experiments._mnist_mlp.network import parameter_count as parameter_count
from experiments._mnist_mlp.network import summary as summary
from experiments._mnist_mlp.report import Result as Result
from experiments._mnist_mlp.report import averaging_share, loss_after
from experiments._mnist_mlp.report import figures as figures
from experiments._mnist_mlp.report import report as report
from experiments._mnist_mlp.side_runs import SideRuns, side_runs
from jaxgrad import training
from jaxgrad.training.assessment import assess

NOTEBOOK = {"optimizer": "sgd", "lr": 0.01, "batch_size": 256, "epochs": 20}


def run(config: Config, learning: Callable[[Task, Config], Learned] = learn) -> Result:
    """Train and measure.

    Args:
        config: The options.
        learning: Trains the network; `learn` by default, which prints and writes
            nothing.
    """
    task = prepare(config)
    last, epochs = learning(task, config)
    dataset = task.dataset
    return Result(
        config=config,
        lr=task.lr,
        dataset=dataset,
        params=last.params,
        epochs=epochs,
        assessment=assess(task.apply, last.params, dataset.test, white=dataset.white),
        side_runs=_side_runs(task, last, config) if config.side_runs else None,
    )


def _side_runs(task: Task, last: training.TrainState, config: Config) -> SideRuns:
    return side_runs(
        task.apply,
        task.optimizer,
        task.start,
        last,
        task.dataset,
        batch_size=config.batch_size,
        key=jax.random.fold_in(jax.random.key(config.seed), 2),
    )


def reproduced(result: Result) -> dict[str, Any]:
    """The computed value of each row of seed_results.toml that this run covers."""
    rows: dict[str, Any] = {}
    if result.side_runs is not None:
        rows |= _reproduced_side_runs(result.side_runs)
    if result.dataset.name == "mnist":
        rows |= _reproduced_sizes(result)
        if _uses_notebook_settings(result) and result.side_runs is not None:
            rows |= _reproduced_training(result.epochs[:20])
    return rows


def _reproduced_side_runs(runs: SideRuns) -> dict[str, Any]:
    doubling = runs.doubling
    finite = int(np.isfinite(doubling.losses).sum())
    return {
        "3.34": {"parameters": doubling.parameters, "logits": doubling.logits},
        "3.C11": f"{finite} of {len(doubling.losses)} losses finite",
        "3.C12": runs.missing_parentheses.split(":")[0],
    }


def _uses_notebook_settings(result: Result) -> bool:
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
    train_steps, last = training.count_batches(n, NOTEBOOK["batch_size"])
    test_steps, _ = training.count_batches(tests, tests)
    layers = [parameter_count(layer) for layer in result.params.values()]
    rows: dict[str, Any] = {
        "3.28": [n, tests, train_steps, last, test_steps],
        "3.29": [*layers, sum(layers)],
    }
    if result.side_runs is not None:
        rows["3.33"] = result.side_runs.memory
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
                loss_after(e) - e.test_loss for e in epochs
            ),
            "epoch 19, train loss after the epoch": loss_after(last),
        },
        "3.32": [100 * first.test_accuracy, 100 * last.test_accuracy],
        "3.C14": averaging_share(last),
    }


def main(argv: Sequence[str] | None = None) -> Result:
    """Train, report, and compare the accuracy with the target."""
    config = parse(Config, argv, "mnist_mlp")
    processes.join(config)
    try:
        result = run(config, train_and_record)
    except processes.Stopped as stopped:
        sys.exit(stopped.code)
    report(result)
    save_figures(figures(result), config.output_dir)
    print(f"parameters sha256: {training.sha256(result.params)}")
    if line := missed_target(result):
        sys.exit(line)
    return result


def missed_target(result: Result) -> str | None:
    """A line about the target accuracy if the run has missed it."""
    target = result.config.target_accuracy
    if target is None:
        return None
    share = target if target <= 1 else target / 100
    reached = result.epochs[-1].test_accuracy
    if reached >= share:
        return None
    return f"target missed: test accuracy {reached:.2%}, expected {share:.2%}"


if __name__ == "__main__":
    run_as_script(main)
