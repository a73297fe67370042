"""An epoch of the MNIST perceptron, compared with PyTorch in the same run.

    python -m benchmarks.mnist_epoch --data-dir FOLDER [--epochs 20]

784-1024-512-10, SGD, batches of 256. All start from the same parameters and use the
same batches in the same order, taking turns epoch by epoch. PyTorch runs twice: with
float tensors in memory and no DataLoader, its fastest loop; and with the notebook's own
DataLoader, which converts image by image. Measure on an idle machine: on a busy one
PyTorch's threads wait for each other, and an epoch takes many times as long.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch.utils.data import DataLoader

from benchmarks import _frame as frame
from benchmarks._mnist import SIZES, Options, example_loss
from benchmarks.mnist_notebook import Batch, Digits, torch_epoch
from experiments.mnist_mlp import mlp
from jaxgrad import training
from jaxgrad.datasets import Dataset, Split, load


@dataclass(frozen=True)
class Config(Options):
    """An epoch of the MNIST perceptron, compared with PyTorch in the same run."""

    epochs: int = 5
    """Epochs of each; 20 for the accuracy of the notebook."""
    lr: float = 0.01
    """The learning rate of SGD."""
    seed: int = 0
    """Seed of the parameters and of the order of the examples."""
    dataloader: bool = True
    """Whether to also run the notebook's DataLoader, which takes the longest."""


class Trained(NamedTuple):
    """The result of one framework."""

    losses: np.ndarray  # (epochs, steps)
    seconds: list[float]  # of each epoch, without the evaluation
    accuracy: float  # on the test set, at the end


class Result(NamedTuple):
    """The results of all frameworks."""

    torch: Trained
    jaxgrad: Trained
    dataloader: Trained | None = None


class Side(NamedTuple):
    """One framework, ready to train."""

    epoch: Callable[[np.ndarray], np.ndarray]  # order -> losses; keeps the state
    accuracy: Callable[[], float]


def start(generator: np.random.Generator, sizes: Sequence[int] = SIZES) -> Any:
    """Initial parameters, which PyTorch's network copies."""
    _, params = mlp(jax.random.key(int(generator.integers(2**31))), sizes)
    return params


def torch_net(params: Any) -> torch.nn.Sequential:
    """The same network in PyTorch, whose weights are the transposed kernels."""
    layers = []
    for number in range(1, len(params) + 1):
        kernel, bias = (np.array(params[f"fc{number}"][k]) for k in ("kernel", "bias"))
        state = {"weight": torch.from_numpy(kernel.T), "bias": torch.from_numpy(bias)}
        linear = torch.nn.Linear(*kernel.shape, dtype=state["bias"].dtype)
        linear.load_state_dict(state)
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def torch_tensors(split: Split, white: int) -> Batch:
    """Rows of floats in [0, 1] and labels, as from torchvision's ToTensor."""
    images = torch.from_numpy(np.array(split.images)).float().div(white)
    return images.flatten(1), torch.from_numpy(np.array(split.labels)).long()


def torch_batches(tensors: Batch, order: np.ndarray, size: int) -> Iterable[Batch]:
    """Batches of tensors in memory."""
    images, labels = tensors
    for indices in torch.from_numpy(order).split(size):
        yield images[indices], labels[indices]


def loader_batches(digits: Digits, order: np.ndarray, size: int) -> Iterable[Batch]:
    """The same batches from the notebook's DataLoader."""
    loader: Any = DataLoader(digits, batch_size=size, sampler=order.tolist())
    return ((images.flatten(1), labels) for images, labels in loader)


def torch_side(
    config: Config, params: Any, test: Batch, batches: Callable[[Any], Iterable[Batch]]
) -> Side:
    """PyTorch's network, optimizer and batches in a given order."""
    net = torch_net(params)
    optimizer = torch.optim.SGD(net.parameters(), lr=config.lr)

    def accuracy() -> float:
        images, labels = test
        with torch.no_grad():
            return (net(images).argmax(1) == labels).double().mean().item()

    return Side(lambda order: torch_epoch(net, optimizer, batches(order)), accuracy)


def jaxgrad_side(config: Config, params: Any, dataset: Dataset) -> Side:
    """The same in JAX; the state stays here between epochs."""
    apply, _ = mlp(jax.random.key(0), SIZES)
    optimizer, white = optax.sgd(config.lr), dataset.white
    train, test = jax.tree.map(jnp.asarray, (dataset.train, dataset.test))
    state = training.init(jax.random.key(0), params, optimizer)
    learn = partial(training.train_epoch, apply, example_loss, optimizer, white=white)
    evaluate = partial(training.evaluate, apply, example_loss, white=white)

    def epoch(order: np.ndarray) -> np.ndarray:
        nonlocal state
        state, losses = learn(state, train, batch_size=config.batch_size, order=order)
        return np.asarray(losses)  # waits for the epoch to end

    def accuracy() -> float:
        return int(evaluate(state.params, test).correct) / len(test.labels)

    return Side(epoch, accuracy)


def make_sides(config: Config, params: Any, dataset: Dataset) -> dict[str, Side]:
    """All frameworks, starting from the same parameters."""
    splits = (dataset.train, dataset.test)
    train, test = (torch_tensors(split, dataset.white) for split in splits)
    size, digits = config.batch_size, Digits(*dataset.train)
    new = partial(torch_side, config, params, test)
    sides = {
        "torch": new(lambda order: torch_batches(train, order, size)),
        "jaxgrad": jaxgrad_side(config, params, dataset),
    }
    if config.dataloader:
        sides["dataloader"] = new(lambda order: loader_batches(digits, order, size))
    return sides


def run(config: Config) -> Result:
    """Train all frameworks, taking turns epoch by epoch."""
    frame.at_least(config, epochs=1, batch_size=1)
    dataset = load("mnist", config.data_dir)
    generator = np.random.default_rng(config.seed)
    sides = make_sides(config, start(generator), dataset)
    n = len(dataset.train.labels)
    orders = [generator.permutation(n) for _ in range(config.epochs)]
    losses: dict[str, list[np.ndarray]] = {name: [] for name in sides}

    def next_epoch(name: str) -> None:
        losses[name].append(sides[name].epoch(orders[len(losses[name])]))

    works = {name: partial(next_epoch, name) for name in sides}
    seconds = frame.take_turns(works, config.epochs)
    trained = {
        name: Trained(np.stack(losses[name]), seconds[name], side.accuracy())
        for name, side in sides.items()
    }
    result = Result(**trained)
    report(config, result)
    return result


def report(config: Config, result: Result) -> None:
    """Print the machine, the times with their ratios, and the agreement."""
    title = "MNIST perceptron 784-1024-512-10, SGD, float32"
    n = f"{config.epochs} epochs"
    frame.heading(title, n, "torch", "jax", "flax", "optax")
    print(f"batches of {config.batch_size}, lr {config.lr:g}")
    sides = {"torch": result.torch, "torch, DataLoader": result.dataloader}
    seconds = {name: side.seconds for name, side in sides.items() if side}
    report_times({**seconds, "jaxgrad": result.jaxgrad.seconds})
    ours, theirs = result.jaxgrad, result.torch
    apart = np.abs(ours.losses / theirs.losses - 1)
    frame.section(
        "Agreement",
        f"Test accuracy: torch {theirs.accuracy:.2%}, jaxgrad {ours.accuracy:.2%}.\n"
        f"The losses' largest relative difference is {apart[0].max():.0e} in the "
        f"{apart.shape[1]} steps of the first epoch, {apart.max():.0e} in all "
        f"{apart.size}.",
    )


def report_times(seconds: frame.Seconds) -> None:
    """Print the first epoch, in which jaxgrad compiles, separately."""
    first = {name: taken[:1] for name, taken in seconds.items()}
    then = {name: taken[1:] for name, taken in seconds.items() if taken[1:]}
    frame.section("First epoch (jaxgrad compiles)", frame.times(first))
    if then:
        frame.section("Later epochs", frame.times(then))
    for name in list(then)[:-1]:
        print(frame.ratio_line("jaxgrad", name, then))


main = frame.benchmark("mnist_epoch", Config, run)

if __name__ == "__main__":
    frame.run_as_script(main)
