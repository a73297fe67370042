"""An epoch of the MNIST perceptron, compared with PyTorch in the same run.

    python -m benchmarks.mnist_epoch --data-dir FOLDER [--epochs 20]

784-1024-512-10, SGD, batches of 256. All start from the same parameters and use the
same batches in the same order, taking turns epoch by epoch. PyTorch runs twice: with
float tensors in memory and no DataLoader, the fastest form of the loop; and with the
notebook's own DataLoader, which converts image by image.
Measure on an idle machine: on a busy one PyTorch's threads wait for each other, and an
epoch takes many times as long.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import tyro

from benchmarks._timing import machine, ratio, take_turns
from benchmarks.mnist_notebook import Digits
from experiments._command import run_as_script, section, table
from experiments.mnist_mlp import mlp
from jaxgrad import training
from jaxgrad.datasets import Dataset, Split, load
from jaxgrad.losses import cross_entropy

SIZES = (784, 1024, 512, 10)
Batch = tuple[torch.Tensor, torch.Tensor]
example_loss = partial(cross_entropy, reduction="none")


@dataclass(frozen=True)
class Config:
    """An epoch of the MNIST perceptron, compared with PyTorch in the same run."""

    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR or the cache."""
    epochs: int = 5
    """Epochs of each; 20 for the accuracy of the notebook."""
    batch_size: int = 256
    """Examples per step."""
    lr: float = 0.01
    """The learning rate of SGD."""
    seed: int = 0
    """Seed of the parameters and of the order of the examples."""
    dataloader: bool = True
    """Whether to also run the notebook's DataLoader, which takes the longest."""


class Trained(NamedTuple):
    """The training of one framework."""

    losses: np.ndarray  # (epochs, steps)
    seconds: list[float]  # of each epoch, the evaluation left out
    accuracy: float  # on the test set, at the end


class Result(NamedTuple):
    """The trainings of all frameworks."""

    config: Config
    torch: Trained
    jaxgrad: Trained
    dataloader: Trained | None


def start(generator: np.random.Generator, sizes: Sequence[int] = SIZES) -> Any:
    """Initial parameters in jaxgrad's form: uniform in +-1/sqrt(inputs)."""

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
    """The same network in PyTorch, whose weights are the transposed kernels."""
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
    """Rows of floats in [0, 1] and labels, as from torchvision's ToTensor."""
    images = torch.from_numpy(np.array(split.images)).float().div(white)
    return images.flatten(1), torch.from_numpy(np.array(split.labels)).long()


def torch_batches(
    tensors: Batch, order: np.ndarray, batch_size: int
) -> Iterable[Batch]:
    """Batches of tensors in memory."""
    images, labels = tensors
    for indices in torch.from_numpy(order).split(batch_size):
        yield images[indices], labels[indices]


def torch_epoch(
    net: torch.nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[Batch]
) -> np.ndarray:
    """The notebook's loop over an epoch; the loss of each step."""
    losses = []
    for images, labels in batches:
        loss = torch.nn.functional.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def torch_accuracy(
    net: torch.nn.Module, tensors: tuple[torch.Tensor, torch.Tensor]
) -> float:
    """The share of examples whose largest logit is that of their label."""
    images, labels = tensors
    with torch.no_grad():
        return (net(images).argmax(1) == labels).double().mean().item()


class Side(NamedTuple):
    """One framework, ready to train."""

    epoch: Callable[[np.ndarray], np.ndarray]  # order -> losses; keeps the state
    accuracy: Callable[[], float]


def _torch_side(config: Config, dataset: Dataset, params: Any) -> Side:
    train = torch_tensors(dataset.train, dataset.white)

    def batches(order: np.ndarray) -> Iterable[Batch]:
        return torch_batches(train, order, config.batch_size)

    return _side_of(batches, config, dataset, params)


def _dataloader_side(config: Config, dataset: Dataset, params: Any) -> Side:
    train = Digits(*dataset.train)

    def batches(order: np.ndarray) -> Iterable[Batch]:
        loader: Any = torch.utils.data.DataLoader(
            train, batch_size=config.batch_size, sampler=order.tolist()
        )
        return ((images.flatten(1), labels) for images, labels in loader)

    return _side_of(batches, config, dataset, params)


def _side_of(
    batches: Callable[[np.ndarray], Iterable[Batch]],
    config: Config,
    dataset: Dataset,
    params: Any,
) -> Side:
    net, test = torch_net(params), torch_tensors(dataset.test, dataset.white)
    optimizer = torch.optim.SGD(net.parameters(), lr=config.lr)
    return Side(
        lambda order: torch_epoch(net, optimizer, batches(order)),
        lambda: torch_accuracy(net, test),
    )


def _jaxgrad_side(config: Config, dataset: Dataset, params: Any) -> Side:
    apply, _ = mlp(jax.random.key(0), SIZES)
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

    return Side(epoch, accuracy)


def run(config: Config) -> Result:
    """Train all frameworks, taking turns epoch by epoch."""
    if min(config.epochs, config.batch_size) < 1:
        raise ValueError("expected --epochs and --batch-size of at least 1")
    dataset = load("mnist", config.data_dir)
    generator = np.random.default_rng(config.seed)
    params = start(generator)
    n = len(dataset.train.labels)
    orders = [generator.permutation(n) for _ in range(config.epochs)]
    sides = {
        "torch": _torch_side(config, dataset, params),
        "jaxgrad": _jaxgrad_side(config, dataset, params),
    }
    if config.dataloader:
        sides["dataloader"] = _dataloader_side(config, dataset, params)
    losses: dict[str, list[np.ndarray]] = {name: [] for name in sides}

    def next_epoch(name: str) -> None:
        losses[name].append(sides[name].epoch(orders[len(losses[name])]))

    works = {name: partial(next_epoch, name) for name in sides}
    seconds = take_turns(works, config.epochs)
    trained = {
        name: Trained(np.stack(losses[name]), seconds[name], side.accuracy())
        for name, side in sides.items()
    }
    return Result(config, **{"dataloader": None, **trained})


def report(result: Result) -> None:
    """Print the machine, the times with their ratio, and the agreement."""
    config = result.config
    section(
        f"MNIST perceptron 784-1024-512-10, SGD, float32, n = {config.epochs} epochs",
        f"batches of {config.batch_size}, lr {config.lr:g}\n"
        f"{machine('torch', 'jax', 'flax', 'optax')}; "
        f"PyTorch uses {torch.get_num_threads()} threads",
    )
    section("Seconds per epoch", _times(result))
    section("Agreement", _agreement(result))


def _times(result: Result) -> str:
    sides = {"torch": result.torch, "torch, DataLoader": result.dataloader}
    others = {name: side.seconds for name, side in sides.items() if side is not None}
    ours = result.jaxgrad.seconds
    if result.config.epochs == 1:
        times = {"jaxgrad with its compilation": ours, **others}
        return ", ".join(f"{name} {only:.2f}" for name, (only,) in times.items())
    rows = [
        (name, *(f"{s:.2f}" for s in (first, statistics.median(then), min(then))))
        for name, (first, *then) in (*others.items(), ("jaxgrad", ours))
    ]
    header = ("", "first (jaxgrad compiles)", "then: median", "least")
    ratios = [
        f"jaxgrad / {name}, first epoch left out: {ratio(ours[1:], theirs[1:]):.2f} "
        "(median of the turns)"
        for name, theirs in others.items()
    ]
    return "\n".join([table(header, rows), *ratios])


def _agreement(result: Result) -> str:
    ours, theirs = result.jaxgrad, result.torch
    apart = np.abs(ours.losses / theirs.losses - 1)
    return (
        f"Test accuracy: torch {theirs.accuracy:.2%}, jaxgrad {ours.accuracy:.2%}.\n"
        f"The losses differ by at most {apart[0].max():.0e} of their value in the "
        f"{apart.shape[1]} steps of the first epoch, {apart.max():.0e} in all "
        f"{apart.size}."
    )


def main(argv: Sequence[str] | None = None) -> Result:
    """Train all and report."""
    config = tyro.cli(Config, args=argv, prog="python -m benchmarks.mnist_epoch")
    result = run(config)
    report(result)
    return result


if __name__ == "__main__":
    run_as_script(main)
