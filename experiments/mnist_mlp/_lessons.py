"""What the MNIST notebook shows beside the training, each as one small function.

Other batch sizes; arrays of one's own as a data set; all parameters doubled between two
epochs; what evaluation needs in memory. In PyTorch: a DataLoader, a TensorDataset and
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
from jaxgrad.losses import cross_entropy
from jaxgrad.mnist import model, training
from jaxgrad.mnist.data import Dataset, from_arrays

Apply = Callable[[Any, jax.Array], jax.Array]

BATCH_SIZES = (64, 256, 1024)

example_loss = partial(cross_entropy, reduction="none")
"""One loss for each example: the training itself takes the mean."""


class Trial(NamedTuple):
    """A network's first epoch with a batch size."""

    batch_size: int
    steps: int
    epoch: training.Epoch
    seconds: float  # of the second epoch: the first one compiles


class OwnArrays(NamedTuple):
    """A data set made of arrays, and a network that learned it."""

    dataset: Dataset
    epochs: tuple[training.Epoch, ...]


class Doubling(NamedTuple):
    """What happened when all parameters were doubled between two epochs."""

    parameters: jax.Array  # (2,): smallest and largest factor over all parameters
    logits: jax.Array  # (2,): the same over the logits, the biases left out
    before: training.Evaluation
    after: training.Evaluation
    losses: jax.Array  # of each step of the epoch that follows


class Memory(NamedTuple):
    """Bytes that the compiler reserves for one batch, beside arguments and results."""

    batch_size: int
    training: int  # value and gradient
    evaluation: int  # value alone
    gradients: int  # the gradients themselves, a result of the training


class Lessons(NamedTuple):
    """All of them."""

    trials: tuple[Trial, ...]
    doubling: Doubling
    memory: Memory
    own: OwnArrays
    forgotten: str  # what Python says without the parentheses


def lessons(
    apply: Apply,
    optimizer: optax.GradientTransformation,
    start: training.TrainState,
    last: training.TrainState,
    dataset: Dataset,
    *,
    batch_size: int,
    key: jax.Array,
) -> Lessons:
    """All lessons about a network that was trained from `start` to `last`."""
    fit = partial(training.fit, apply, example_loss, optimizer, start, dataset)
    return Lessons(
        trials=tuple(trial(fit, size, dataset) for size in BATCH_SIZES),
        doubling=doubling(apply, optimizer, last, dataset, batch_size),
        memory=memory(apply, last.params, dataset, batch_size),
        own=own_arrays(key),
        forgotten=without_parentheses(),
    )


def trial(fit: Callable[..., Any], batch_size: int, dataset: Dataset) -> Trial:
    """The first of two epochs of `fit` with a batch size."""
    (_, epoch), (_, second) = fit(epochs=2, batch_size=batch_size)
    steps = training.batches(len(dataset.train.labels), batch_size).steps
    return Trial(batch_size, steps, epoch, second.seconds)


def bars(key: jax.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of 8 x 8 noisy pixels with one bright bar: 0 lies, 1 stands."""
    places, turns, noise = jax.random.split(key, 3)
    place = jax.random.randint(places, (n, 1, 1), 0, 8)
    stands = jax.random.bernoulli(turns, shape=(n, 1, 1))
    lying, standing = jnp.arange(8)[:, None] == place, jnp.arange(8) == place
    bright = jnp.where(stands, standing, lying)
    images = jax.random.randint(noise, (n, 8, 8), 0, 128)
    images = jnp.where(bright, images + 127, images)
    return np.asarray(images, np.uint8), np.asarray(stands[:, 0, 0], np.int32)


def own_arrays(key: jax.Array) -> OwnArrays:
    """Two arrays become a data set with a split, and a network learns it.

    Torch: `TensorDataset(x, y)`, `random_split`, two `DataLoader`s.
    """
    drawn, split, start, order = jax.random.split(key, 4)
    images, labels = bars(drawn, 1000)
    dataset = from_arrays(images, labels, key=split, test_fraction=0.25, name="bars")
    apply, params = model.mlp(start, sizes=(8 * 8, 32, dataset.num_classes))
    optimizer = optax.sgd(0.1, momentum=0.9)
    state = training.init(order, params, optimizer)
    run = training.fit(
        apply, example_loss, optimizer, state, dataset, epochs=8, batch_size=32
    )
    return OwnArrays(dataset, tuple(epoch for _, epoch in run))


def doubled(params: Any) -> Any:
    """All parameters times two, as new arrays.

    Torch: `with torch.no_grad(): for p in net.parameters(): p *= 2.0`. Here nothing is
    recorded unless a gradient is asked for, and nothing is changed in place.
    """
    return jax.tree.map(lambda parameter: 2.0 * parameter, params)


def without_biases(params: Any) -> Any:
    """The same layers, every bias zero."""
    return {
        name: layer | {"bias": jnp.zeros_like(layer["bias"])}
        for name, layer in params.items()
    }


def doubling(
    apply: Apply,
    optimizer: optax.GradientTransformation,
    state: training.TrainState,
    dataset: Dataset,
    batch_size: int,
) -> Doubling:
    """Double all parameters of a run, judge the network, and train another epoch.

    The given state stays valid: what is doubled is a branch of its own.
    """
    big = doubled(state.params)
    judge = partial(training.evaluate, apply, example_loss, white=dataset.white)
    images = jnp.asarray(dataset.test.images[:100], jnp.float32) / dataset.white
    bare = without_biases(state.params)
    factors = [
        _factors(*pair)
        for pair in zip(
            jax.tree.leaves(big), jax.tree.leaves(state.params), strict=True
        )
    ]
    branch = jax.tree.map(jnp.copy, state._replace(params=big))
    _, losses = training.train_epoch(
        apply,
        example_loss,
        optimizer,
        branch,
        dataset.train,
        batch_size=batch_size,
        white=dataset.white,
    )
    return Doubling(
        parameters=_extremes(jnp.stack(factors)),
        logits=_factors(apply(doubled(bare), images), apply(bare, images)),
        before=judge(state.params, dataset.test),
        after=judge(big, dataset.test),
        losses=losses,
    )


def memory(apply: Apply, params: Any, dataset: Dataset, batch_size: int) -> Memory:
    """What the compiler reserves for a batch, with and without a gradient."""
    images = jnp.asarray(dataset.train.images[:batch_size], jnp.float32)
    labels = jnp.asarray(dataset.train.labels[:batch_size])

    def loss(params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
        return cross_entropy(apply(params, images), labels)

    def reserved(f: Callable[..., Any]) -> int:
        compiled = jax.jit(f).lower(params, images, labels).compile()
        statistics: Any = compiled.memory_analysis()
        return statistics.temp_size_in_bytes

    return Memory(
        batch_size=batch_size,
        training=reserved(jax.value_and_grad(loss)),
        evaluation=reserved(loss),
        gradients=sum(leaf.nbytes for leaf in jax.tree.leaves(params)),
    )


def without_parentheses() -> str:
    """The error of `with manager:` where `with manager():` is meant.

    Torch: `with torch.no_grad:` is the same TypeError.
    """

    @contextmanager
    def manager() -> Iterator[None]:
        yield

    forgotten: Any = manager
    try:
        with forgotten:
            return "no error"
    except TypeError as error:
        return f"TypeError: {error}"


def _factors(big: jax.Array, small: jax.Array) -> jax.Array:
    """The smallest and the largest quotient of two arrays, zeros left out."""
    return _extremes(jnp.where(small == 0, jnp.nan, big / small))


def _extremes(values: jax.Array) -> jax.Array:
    return jnp.stack([jnp.nanmin(values), jnp.nanmax(values)])


def report_lessons(lessons: Lessons) -> None:
    """Print them."""
    _report_batch_sizes(lessons.trials)
    _report_doubling(lessons.doubling)
    _report_memory(lessons.memory, lessons.forgotten)
    _report_own_arrays(lessons.own)


def _report_batch_sizes(trials: tuple[Trial, ...]) -> None:
    rows = [
        (
            trial.batch_size,
            trial.steps,
            f"{trial.seconds:7.2f}",
            f"{trial.epoch.train_loss:.5f}",
            f"{trial.epoch.test_loss:.5f}",
            f"{trial.epoch.test_accuracy:8.2%}",
        )
        for trial in trials
    ]
    header = ("batch size", "steps", "seconds", "train loss", "test loss", "accuracy")
    section(
        "One epoch with other batch sizes",
        f"{table(header, rows)}\n(seconds: of a second epoch, for the first compiles)",
    )


def _report_doubling(doubling: Doubling) -> None:
    finite = int(np.isfinite(doubling.losses).sum())
    section(
        "All parameters doubled between two epochs",
        "params = jax.tree.map(lambda p: 2.0 * p, params)\n"
        f"every parameter times            {_span(doubling.parameters)}\n"
        f"without biases every logit times {_span(doubling.logits)}\n"
        f"test loss {doubling.before.loss:.4f} -> {doubling.after.loss:.4f}, accuracy "
        f"{doubling.before.accuracy:.2%} -> {doubling.after.accuracy:.2%}\n"
        f"The epoch after it: {finite} of {len(doubling.losses)} losses finite, "
        f"{doubling.losses[0]:.4f} first, {doubling.losses[-1]:.4f} last.\n"
        "PyTorch needs no_grad or .data for this, since it records what is done to a\n"
        "parameter; here a gradient is of a function, and nothing else is recorded.",
    )


def _report_memory(memory: Memory, forgotten: str) -> None:
    rows = [
        ("value and gradient, temporary", round(memory.training / 1e6, 2)),
        ("value alone, temporary", round(memory.evaluation / 1e6, 2)),
        ("the gradients, a result", round(memory.gradients / 1e6, 2)),
    ]
    share = memory.evaluation / memory.training
    whole = memory.evaluation / (memory.training + memory.gradients)
    section(
        f"Memory for a batch of {memory.batch_size}, by the compiler",
        f"{table(('what', 'MB'), rows)}\n"
        f"Evaluation needs {share:.0%} of the training's temporary memory, and "
        f"{whole:.0%} if the gradients\ncount. The notebook says about 1/5 of "
        "no_grad: that depends on the network.\n"
        "`with no_grad:`, as it stands there, lacks its parentheses:\n"
        f"{forgotten}",
    )


def _report_own_arrays(own: OwnArrays) -> None:
    section(
        "Arrays of your own",
        f"from_arrays(images, labels, key=key, test_fraction=0.25)\n{own.dataset}\n"
        f"Accuracy after {len(own.epochs)} epochs: {own.epochs[-1].test_accuracy:.1%}",
    )


def _span(factors: jax.Array) -> str:
    least, most = (f"{factor:.9g}" for factor in factors)
    return least if least == most else f"{least} to {most}"
