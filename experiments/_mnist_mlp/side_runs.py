"""What the MNIST notebook shows besides the training, one small function each.

Other batch sizes; your own arrays as a data set; all parameters doubled between two
epochs; the memory that evaluation needs. In PyTorch: a DataLoader, a TensorDataset and
two uses of `torch.no_grad`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments._command import section, table
from experiments._mnist_mlp.config import Config
from experiments._mnist_mlp.learning import Task, example_loss, learn, prepare
from experiments._mnist_mlp.network import mlp
from jaxgrad import training
from jaxgrad.datasets import Dataset, from_arrays
from jaxgrad.losses import cross_entropy

BATCH_SIZES = (64, 256, 1024)


class Trial(NamedTuple):
    """The first epoch of a network with another batch size."""

    batch_size: int
    steps: int
    epoch: training.Epoch
    seconds: float  # of the second epoch: the first one compiles


class OwnArrays(NamedTuple):
    """A data set made of arrays, and the training of a network on it."""

    dataset: Dataset
    epochs: tuple[training.Epoch, ...]


class Doubling(NamedTuple):
    """The effect of doubling all parameters between two epochs."""

    parameters: jax.Array  # (2,): smallest and largest factor over all parameters
    logits: jax.Array  # (2,): the same over the logits, without biases
    before: training.Evaluation
    after: training.Evaluation
    losses: jax.Array  # (steps,): of the next epoch


class Memory(NamedTuple):
    """Bytes that the compiler reserves for one batch, besides arguments and results."""

    batch_size: int
    training: int  # value and gradient
    evaluation: int  # value only
    gradients: int  # the gradients themselves, a result of the training


class SideRuns(NamedTuple):
    """The results of all side runs."""

    trials: tuple[Trial, ...]
    doubling: Doubling
    memory: Memory
    own: OwnArrays
    missing_parentheses: str  # the error of `with no_grad:`
    on_digits: tuple[training.Epoch, ...]  # the notebook's settings on the digits


def side_runs(
    task: Task, last: training.TrainState, batch_size: int, key: jax.Array
) -> SideRuns:
    """All side runs for a network that was trained up to the state `last`."""
    return SideRuns(
        trials=tuple(trial(task, size) for size in BATCH_SIZES),
        doubling=doubling(task, last, batch_size),
        memory=memory(task, last.params, batch_size),
        own=own_arrays(key),
        missing_parentheses=without_parentheses(),
        on_digits=on_digits(),
    )


def trial(task: Task, batch_size: int) -> Trial:
    """Train from the start for two epochs with another batch size.

    Fewer steps stay finite with a learning rate at which more do not: the table shows.
    """
    fit = partial(training.fit, task.apply, example_loss, task.optimizer, task.start)
    options: Any = {"batch_size": batch_size, "stop_at_nonfinite": False}
    (_, first), (_, second) = fit(task.dataset, epochs=2, **options)
    n = len(task.dataset.train.labels)
    steps = training.count_batches(n, batch_size).steps
    return Trial(batch_size, steps, first, second.seconds)


def bars(key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images of 8 x 8 pixels with a bright bar: 0 is horizontal, 1 vertical."""
    position_key, label_key, noise_key = jax.random.split(key, 3)
    position = jax.random.randint(position_key, (n, 1, 1), 0, 8)
    vertical = jax.random.bernoulli(label_key, shape=(n, 1, 1))
    row, column = jnp.arange(8)[:, None] == position, jnp.arange(8) == position
    images = jax.random.randint(noise_key, (n, 8, 8), 0, 128)
    images = jnp.where(jnp.where(vertical, column, row), images + 127, images)
    return np.asarray(images, np.uint8), np.asarray(vertical[:, 0, 0], np.int32)


def own_arrays(key: jax.Array) -> OwnArrays:
    """Make a data set of two arrays, split it, and train a network on it.

    Torch: `TensorDataset(x, y)`, `random_split`, two `DataLoader`s.
    """
    bars_key, split_key, params_key, train_key = jax.random.split(key, 4)
    arrays = bars(bars_key, 1000)
    dataset = from_arrays(*arrays, key=split_key, test_fraction=0.25, name="bars")
    apply, params = mlp(params_key, sizes=(8 * 8, 32, dataset.num_classes))
    optimizer = optax.sgd(0.1, momentum=0.9)
    state = training.init(train_key, params, optimizer)
    fit = partial(training.fit, apply, example_loss, optimizer, state, dataset)
    return OwnArrays(dataset, tuple(e for _, e in fit(epochs=8, batch_size=32)))


def doubling(task: Task, state: training.TrainState, batch_size: int) -> Doubling:
    """Double all parameters, evaluate the network, and train another epoch.

    `state` is not donated: the doubled network trains on a copy.

    Torch: `with torch.no_grad(): for p in net.parameters(): p *= 2.0`. JAX records
    nothing unless a gradient is taken, and changes nothing in place.
    """
    apply, dataset = task.apply, task.dataset
    white: Any = {"white": dataset.white}
    evaluate = partial(training.evaluate, apply, example_loss, **white)
    doubled = partial(jax.tree.map, lambda parameter: 2.0 * parameter)
    params, big = state.params, doubled(state.params)
    bare = {k: v | {"bias": jnp.zeros_like(v["bias"])} for k, v in params.items()}
    images = jnp.asarray(dataset.test.images[:100], jnp.float32) / dataset.white
    start = jax.tree.map(jnp.copy, state._replace(params=big))
    train = partial(training.train_epoch, apply, example_loss, task.optimizer, **white)
    _, losses = train(start, dataset.train, batch_size=batch_size)
    return Doubling(
        parameters=_factors(big, params),
        logits=_factors(apply(doubled(bare), images), apply(bare, images)),
        before=evaluate(params, dataset.test),
        after=evaluate(big, dataset.test),
        losses=losses,
    )


def _factors(big: Any, small: Any) -> jax.Array:
    """The smallest and the largest quotient of two pytrees, ignoring zeros; (2,)."""
    quotients = jax.tree.map(lambda b, s: jnp.where(s == 0, jnp.nan, b / s), big, small)
    values = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(quotients)])
    return jnp.stack([jnp.nanmin(values), jnp.nanmax(values)])


def memory(task: Task, params: Any, batch_size: int) -> Memory:
    """What the compiler reserves for a batch, with and without a gradient."""
    train = task.dataset.train
    images = jnp.asarray(train.images[:batch_size], jnp.float32)
    labels = jnp.asarray(train.labels[:batch_size])

    def loss(params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
        return cross_entropy(task.apply(params, images), labels)

    def reserved(f: Callable[..., Any]) -> int:
        compiled = jax.jit(f).lower(params, images, labels).compile()
        statistics: Any = compiled.memory_analysis()
        return statistics.temp_size_in_bytes

    temporary = reserved(jax.value_and_grad(loss)), reserved(loss)
    gradients = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    return Memory(batch_size, *temporary, gradients)


def without_parentheses() -> str:
    """The error of `with manager:` where `with manager():` is meant.

    Torch: `with torch.no_grad:` is the same TypeError.
    """

    @contextmanager
    def manager() -> Iterator[None]:
        yield

    not_called: Any = manager
    try:
        with not_called:
            return "no error"
    except TypeError as error:
        return f"TypeError: {error}"


def on_digits() -> tuple[training.Epoch, ...]:
    """The notebook's training on scikit-learn's digits, which is quick to repeat.

    The seed results hold what PyTorch learns from the same start in the same order.
    """
    notebooks: Any = {"batch_size": 256, "lr": 0.01}
    config = Config(dataset="digits", epochs=3, side_runs=False, **notebooks)
    return learn(prepare(config), config)[1]


def report_side_runs(result: SideRuns) -> None:
    """Print the results of all side runs."""
    section("One epoch with other batch sizes", _batch_sizes(result.trials))
    section("All parameters doubled between two epochs", _doubling(result.doubling))
    memory, own = result.memory, result.own
    title = f"Memory for a batch of {memory.batch_size}, by the compiler"
    section(title, _memory(memory, result.missing_parentheses))
    digits = [(e.epoch, *e[1:2], *e[3:5]) for e in result.on_digits]
    header = ("epoch", "train loss", "test loss", "accuracy")
    section(
        "The notebook's settings on the digits",
        "seed_results.toml holds what PyTorch learns from the same start in the same "
        f"order.\n\n{table(header, digits)}",
    )
    section(
        "Arrays of your own",
        f"from_arrays(images, labels, key=key, test_fraction=0.25)\n{own.dataset}\n"
        f"Accuracy after {len(own.epochs)} epochs: {own.epochs[-1].test_accuracy:.1%}",
    )


def _batch_sizes(trials: tuple[Trial, ...]) -> str:
    rows = []
    for size, steps, epoch, seconds in trials:
        losses = (f"{epoch.train_loss:.5f}", f"{epoch.test_loss:.5f}")
        accuracy = f"{epoch.test_accuracy:8.2%}"
        rows.append((size, steps, f"{seconds:7.2f}", *losses, accuracy))
    header = ("batch size", "steps", "seconds", "train loss", "test loss", "accuracy")
    return (
        "The first epoch from the same start. Fewer, larger batches mean fewer steps, "
        "so less is learned. The seconds are those of a second epoch, as the first "
        f"compiles.\n\n{table(header, rows)}"
    )


def _doubling(doubling: Doubling) -> str:
    losses, before, after = doubling.losses, doubling.before, doubling.after
    finite = int(np.isfinite(losses).sum())
    return (
        "params = jax.tree.map(lambda p: 2.0 * p, params)\n"
        f"Factor of every parameter:            {_span(doubling.parameters)}\n"
        f"Factor of every logit without biases: {_span(doubling.logits)}\n"
        f"Test loss {before.loss:.4f} -> {after.loss:.4f}, accuracy "
        f"{before.accuracy:.2%} -> {after.accuracy:.2%}\n"
        f"In the next epoch {finite} of {len(losses)} losses are finite; the "
        f"first is {losses[0]:.4f}, the last {losses[-1]:.4f}.\n"
        "PyTorch needs no_grad or .data for this, because it records operations on a\n"
        "parameter; JAX differentiates a function, and records nothing else."
    )


def _span(factors: jax.Array) -> str:
    least, most = (f"{factor:.9g}" for factor in factors)
    return least if least == most else f"{least} to {most}"


def _memory(memory: Memory, missing_parentheses: str) -> str:
    rows = [
        ("value and gradient, temporary", round(memory.training / 1e6, 2)),
        ("value only, temporary", round(memory.evaluation / 1e6, 2)),
        ("the gradients, a result", round(memory.gradients / 1e6, 2)),
    ]
    share = memory.evaluation / memory.training
    whole = memory.evaluation / (memory.training + memory.gradients)
    return (
        "What the compiler reserves: for the gradient it keeps every layer's result, "
        f"for the value alone it does not.\n\n{table(('what', 'MB'), rows)}\n\n"
        f"Evaluation needs {share:.0%} of the training's temporary memory, or "
        f"{whole:.0%} counting the\ngradients. The notebook says about 1/5 for "
        "no_grad: that depends on the network.\n"
        "The notebook's `with no_grad:` lacks its parentheses:\n"
        f"{missing_parentheses}"
    )
