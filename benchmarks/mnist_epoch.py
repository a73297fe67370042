"""An epoch of the MNIST perceptron, beside PyTorch in the same run.

    python -m benchmarks.mnist_epoch --data-dir FOLDER [--epochs 20]

784-1024-512-10, SGD, batches of 256. Both start from the same parameters and see the
same batches in the same order, and the epochs take turns, so that both meet the same
noise of the machine. PyTorch has its tensors in memory, as floats and without a
DataLoader: the fastest form of the notebook's loop.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import tyro

from experiments._command import run_as_script, section, table
from jaxgrad.losses import cross_entropy
from jaxgrad.mnist import model, training
from jaxgrad.mnist.data import Dataset, Split, load

SIZES = (784, 1024, 512, 10)
example_loss = partial(cross_entropy, reduction="none")


@dataclass(frozen=True)
class Config:
    """An epoch of the MNIST perceptron, beside PyTorch in the same run."""

    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR or the cache."""
    epochs: int = 5
    """Epochs of each; 20 for the accuracy of the notebook."""
    batch_size: int = 256
    """Examples per step."""
    lr: float = 0.01
    """The learning rate of SGD."""
    seed: int = 0
    """Of the parameters and of the order of the examples."""


class Trained(NamedTuple):
    """What one framework did."""

    losses: np.ndarray  # (epochs, steps)
    seconds: list[float]  # of each epoch, the evaluation left out
    accuracy: float  # on the test set, at the end


class Result(NamedTuple):
    """Both frameworks, trained side by side."""

    config: Config
    dataset: Dataset
    torch: Trained
    jaxgrad: Trained


def start(generator: np.random.Generator, sizes: Sequence[int] = SIZES) -> Any:
    """First parameters for both, in jaxgrad's form: uniform in +-1/sqrt(inputs)."""

    def uniform(inputs: int, *shape: int) -> np.ndarray:
        bound = inputs**-0.5
        return generator.uniform(-bound, bound, shape).astype(np.float32)

    return {
        f"fc{number}": {
            "bias": uniform(inputs, outputs),
            "kernel": uniform(inputs, inputs, outputs),
        }
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1)
    }


def torch_net(params: Any) -> torch.nn.Sequential:
    """The same network in PyTorch, whose weights are the kernels' transposes."""
    net = torch.nn.Sequential()
    for number in range(1, len(params) + 1):
        kernel, bias = (np.array(params[f"fc{number}"][k]) for k in ("kernel", "bias"))
        weight = torch.from_numpy(kernel.T.copy())
        layer = torch.nn.Linear(*kernel.shape, dtype=weight.dtype)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(torch.from_numpy(bias))
        net.append(layer)
        if number < len(params):
            net.append(torch.nn.ReLU())
    return net


def torch_tensors(split: Split, white: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of floats in [0, 1] and labels, as torchvision's ToTensor makes them."""
    images = torch.from_numpy(np.array(split.images)).float().div(white)
    return images.flatten(1), torch.from_numpy(np.array(split.labels)).long()


def torch_epoch(
    net: torch.nn.Module,
    lr: float,
    tensors: tuple[torch.Tensor, torch.Tensor],
    order: np.ndarray,
    batch_size: int,
) -> np.ndarray:
    """The notebook's loop over an epoch; the loss of each step."""
    images, labels = tensors
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    losses = []
    for indices in torch.from_numpy(order).split(batch_size):
        loss = torch.nn.functional.cross_entropy(net(images[indices]), labels[indices])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def torch_accuracy(
    net: torch.nn.Module, tensors: tuple[torch.Tensor, torch.Tensor]
) -> float:
    """The share of examples whose largest logit is their label's."""
    images, labels = tensors
    with torch.no_grad():
        return (net(images).argmax(1) == labels).double().mean().item()


def run(config: Config) -> Result:
    """Train both, epoch by epoch in turns."""
    if min(config.epochs, config.batch_size) < 1:
        raise ValueError("--epochs and --batch-size: expected at least 1 each.")
    dataset = load("mnist", config.data_dir)
    generator = np.random.default_rng(config.seed)
    params = start(generator)
    orders = [
        generator.permutation(len(dataset.train.labels)) for _ in range(config.epochs)
    ]
    torch_side, torch_end = _torch_side(config, dataset, params)
    jaxgrad_side, jaxgrad_end = _jaxgrad_side(config, dataset, params)
    timed = [(_timed(torch_side, o), _timed(jaxgrad_side, o)) for o in orders]
    by_torch, by_jaxgrad = zip(*timed, strict=True)
    return Result(
        config,
        dataset,
        _trained(by_torch, torch_end()),
        _trained(by_jaxgrad, jaxgrad_end()),
    )


Epoch = Callable[[np.ndarray], np.ndarray]
Accuracy = Callable[[], float]


def _torch_side(
    config: Config, dataset: Dataset, params: Any
) -> tuple[Epoch, Accuracy]:
    net = torch_net(params)
    train, test = (
        torch_tensors(split, dataset.white) for split in (dataset.train, dataset.test)
    )
    return (
        lambda order: torch_epoch(net, config.lr, train, order, config.batch_size),
        lambda: torch_accuracy(net, test),
    )


def _jaxgrad_side(
    config: Config, dataset: Dataset, params: Any
) -> tuple[Epoch, Accuracy]:
    apply, _ = model.mlp(jax.random.key(0), SIZES)
    optimizer = optax.sgd(config.lr)
    train, test = jax.tree.map(jnp.asarray, (dataset.train, dataset.test))
    state = training.init(jax.random.key(0), params, optimizer)
    options: Any = {"batch_size": config.batch_size, "white": dataset.white}

    def epoch(order: np.ndarray) -> np.ndarray:
        nonlocal state
        state, losses = training.train_epoch(
            apply, example_loss, optimizer, state, train, order=order, **options
        )
        return np.asarray(losses)  # waits for the epoch to end

    def accuracy() -> float:
        result = training.evaluate(
            apply, example_loss, state.params, test, white=dataset.white
        )
        return int(result.correct) / len(test.labels)

    return epoch, accuracy


def _timed(epoch: Epoch, order: np.ndarray) -> tuple[np.ndarray, float]:
    begin = time.perf_counter()
    losses = epoch(order)
    return losses, time.perf_counter() - begin


def _trained(epochs: Sequence[tuple[np.ndarray, float]], accuracy: float) -> Trained:
    losses, seconds = zip(*epochs, strict=True)
    return Trained(np.stack(losses), list(seconds), accuracy)


def report(result: Result) -> None:
    """Print the machine, the times with their ratio, and how far both agree."""
    config, dataset = result.config, result.dataset
    section(
        "MNIST perceptron 784-1024-512-10, SGD, float32",
        f"{platform.machine()}, {os.cpu_count()} cores, torch uses "
        f"{torch.get_num_threads()}; device {jax.devices()[0].platform}\n"
        + ", ".join(f"{name} {version(name)}" for name in ("torch", "jax", "optax"))
        + f", Python {platform.python_version()}\n"
        f"n = {config.epochs} epochs of {len(dataset.train.labels):,} images, "
        f"batches of {config.batch_size}, lr {config.lr:g}",
    )
    section("Seconds per epoch", _times(result))
    section("Agreement", _agreement(result))


def _times(result: Result) -> str:
    rows = [
        (
            name,
            f"{trained.seconds[0]:.2f}",
            *(f"{f(trained.seconds[1:]):.2f}" for f in (statistics.median, min, max)),
        )
        for name, trained in (("torch", result.torch), ("jaxgrad", result.jaxgrad))
        if result.config.epochs > 1
    ]
    if not rows:
        firsts = result.torch.seconds[0], result.jaxgrad.seconds[0]
        return "first epoch only: torch {:.2f}, jaxgrad {:.2f}".format(*firsts)
    ratio = statistics.median(
        ours / theirs
        for ours, theirs in zip(
            result.jaxgrad.seconds[1:], result.torch.seconds[1:], strict=True
        )
    )
    header = ("", "first (jaxgrad compiles)", "then: median", "least", "most")
    return f"{table(header, rows)}\njaxgrad / torch: {ratio:.2f} (median of the pairs)"


def _agreement(result: Result) -> str:
    ours, theirs = result.jaxgrad, result.torch
    difference = np.abs(ours.losses / theirs.losses - 1).max(axis=1)
    return (
        f"test accuracy: torch {theirs.accuracy:.2%}, jaxgrad {ours.accuracy:.2%}\n"
        f"losses of the first epoch's {ours.losses.shape[1]} steps: at most "
        f"{difference[0]:.1e} apart (relative)\n"
        f"losses of all {ours.losses.size} steps: at most {difference.max():.1e} apart"
    )


def main(argv: Sequence[str] | None = None) -> Result:
    """Train both and report."""
    config = tyro.cli(Config, args=argv, prog="python -m benchmarks.mnist_epoch")
    result = run(config)
    report(result)
    return result


if __name__ == "__main__":
    run_as_script(main)
