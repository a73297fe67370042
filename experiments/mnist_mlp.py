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
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments._command import parse, run_as_script
from experiments._frame import print_page, save_figures
from experiments._mnist_mlp import learning, processes
from experiments._mnist_mlp.config import Config, check
from experiments._mnist_mlp.learning import HIDDEN as HIDDEN
from experiments._mnist_mlp.network import mlp as mlp
from experiments._mnist_mlp.network import parameter_count
from experiments._mnist_mlp.network import summary as summary
from experiments._mnist_mlp.report import Result, averaging_share, figures, report
from experiments._mnist_mlp.side_runs import side_runs
from experiments._reproduction import Part
from experiments._terminal import working
from jaxgrad import training
from jaxgrad.training.assessment import assess, learning_curves

EPOCHS = 20  # of the notebook, as these settings are
SETTINGS = {"optimizer": "sgd", "schedule": "constant", "lr": 0.01, "batch_size": 256}


def run(
    config: Config, learn: Callable[..., learning.Learned] = learning.learn
) -> Result:
    """Train, by default without a bar, files or checkpoints, and measure."""
    check(config)
    with processes.joined(config):
        task = learning.prepare(config)
        last, epochs = learn(task, task.config)
    config, dataset = task.config, task.dataset
    key = jax.random.fold_in(jax.random.key(config.seed), 2)
    runs = side_runs(task, last, task.batch_size, key) if config.side_runs else None
    assessment = assess(task.apply, last.params, dataset.test, white=dataset.white)
    settings = config, task.batch_size, task.lr
    return Result(*settings, dataset, last.params, epochs, assessment, runs)


def reproduced(result: Result) -> dict[str, Any]:
    """The computed value of each row of seed_results.toml that this run covers."""
    rows: dict[str, Any] = {}
    runs, config = result.side_runs, result.config
    if runs is not None:
        losses, doubling = runs.doubling.losses, runs.doubling
        rows["3.34"] = {"parameters": doubling.parameters, "logits": doubling.logits}
        rows["3.C11"] = f"{np.isfinite(losses).sum()} of {len(losses)} losses finite"
        rows["3.C12"] = runs.missing_parentheses.split(":")[0]
        rows["3.30"] = Part(
            {"on digits": [measured(epoch) for epoch in runs.on_digits]}
        )
    if result.dataset.name == "mnist":
        rows |= _reproduced_sizes(result)
        settings = {name: getattr(config, name) for name in SETTINGS}
        as_printed = settings | {"lr": result.lr} == SETTINGS
        if runs is not None and as_printed and len(result.epochs) >= EPOCHS:
            trained = _reproduced_training(result.epochs[:EPOCHS])
            trained["3.30"] |= dict(rows["3.30"])
            rows |= trained
    return rows


def measured(epoch: training.Epoch) -> list[float]:
    """Train loss, test loss and accuracy: what PyTorch's run on the digits holds."""
    return [epoch.train_loss, epoch.test_loss, epoch.test_accuracy]


def _reproduced_sizes(result: Result) -> dict[str, Any]:
    n, tests = len(result.dataset.train.labels), len(result.dataset.test.labels)
    train_steps, last = training.count_batches(n, SETTINGS["batch_size"])
    layers = [parameter_count(layer) for layer in result.params.values()]
    test_steps = training.count_batches(tests, tests).steps
    rows: dict[str, Any] = {"3.28": [n, tests, train_steps, last, test_steps]}
    rows["3.29"] = [*layers, sum(layers)]
    if result.side_runs is not None:
        rows["3.33"] = result.side_runs.memory
    return rows


def _reproduced_training(epochs: tuple[training.Epoch, ...]) -> dict[str, Any]:
    _, train, after, test, accuracy = learning_curves(epochs)
    return {
        "3.30": {"epoch 0": [train[0], test[0]], "epoch 19": [train[-1], test[-1]]},
        "3.31": {
            "smallest gap": min(train - test),
            "the same, train loss after the epoch": min(after - test),
            "epoch 19, train loss after the epoch": after[-1],
        },
        "3.32": [100 * accuracy[0], 100 * accuracy[-1]],
        "3.C14": averaging_share(epochs[-1]),
    }


def missed_target(result: Result) -> str | None:
    """A line about the target accuracy if the run has missed it."""
    target, reached = result.config.target_accuracy, result.epochs[-1].test_accuracy
    share = target / 100 if target and target > 1 else target or 0
    if reached >= share:
        return None
    return f"target missed: test accuracy {reached:.2%}, expected {share:.2%}"


def main(argv: list[str] | None = None) -> Result:
    """Train, report, and compare the accuracy with the target."""
    config = parse(Config, argv, "mnist_mlp")
    try:
        with working("mnist_mlp"):
            result = run(config, learning.train_and_record)
    except processes.Stopped as stopped:
        sys.exit(stopped.code)
    except training.NonFinite as fault:
        sys.exit(f"error: {fault}\nA smaller --lr may keep them finite.")
    report(result)
    save_figures(figures(result), config.output_dir)
    if argv is None:
        print_page("mnist_mlp", config, result)
    print(f"parameters sha256: {training.sha256(result.params)}")
    if line := missed_target(result):
        sys.exit(line)
    return result


if __name__ == "__main__":
    run_as_script(main)
