"""An epoch: shuffle, loop, step, update; and the evaluation that follows it.

The first three functions are the whole loop. An epoch is shuffled into batches, one
compiled loop runs over them, and each step takes a gradient and updates the state.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Bool, Float, Int

from jaxgrad._checks import (
    check_entries,
    check_int,
    check_integer,
    check_shape,
    wrong_value,
)
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, PRNGKey, PyTree
from jaxgrad.datasets import Split
from jaxgrad.training._batches import Batches, make_batches, shuffle
from jaxgrad.training._monitor import Recorder, Rows
from jaxgrad.training._sharding import constrained, replicated
from jaxgrad.training._state import Evaluation, Loss, Network, TrainState, as_model

# What is measured of params, gradients and opt_state
Measure = Callable[[PyTree, PyTree, PyTree], Any]


class Setup(NamedTuple):
    """What every step shares; the compiled programs take it as a static argument."""

    apply: Network
    loss: Loss
    white: int
    mesh: Mesh | None


def shuffled(
    state: TrainState, split: Split, batch_size: int, mesh: Mesh | None
) -> Batches:
    """The batches of the epoch that `state` is in."""
    order = shuffle(state.key, state.epoch, n=len(split.labels))
    return make_batches(split, batch_size, mesh, order)


@partial(
    jax.jit, static_argnames=("setup", "optimizer", "watch"), donate_argnames="state"
)
def train_steps(
    setup: Setup,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batches: Batches,
    first: ArrayLike,
    stop: ArrayLike,
    watch: int | None = None,
) -> tuple[TrainState, Float[Array, "steps"], Rows]:
    """Steps `first` to `stop - 1` of an epoch; the losses of all other steps are zero.

    With `watch`, also the metrics of every `watch`-th step of the run, a row for each;
    further rows are zero.

    Known bounds would be compiled into the loop, which may change the last bit.
    """
    recorder = Recorder(optimizer, watch, state.step)

    def step(i: Array | int, state: TrainState, measure: Measure) -> tuple[Any, ...]:
        images, *rest = batches.batch(i)
        images = scaled(images, setup.white, state.params)
        network = setup.apply, setup.loss, optimizer
        return measured_step(*network, state, images, *rest, measure=measure)

    def body(watching: bool, i: Array, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        state, losses, rows = carry
        record = partial(recorder.record, rows, state.step)
        state, value, row = step(i, state, record if watching else nothing)
        rows = row if watching else rows
        return constrained((state, losses.at[i].set(value), rows), setup.mesh)

    total = len(batches.mask)
    rows = recorder.no_rows(state.params, total)
    plainly = partial(step, 0, measure=nothing)
    losses = jnp.zeros(total, jax.eval_shape(plainly, state)[1].dtype)
    first, stop = (jnp.asarray(bound, jnp.int32) for bound in (first, stop))
    loop = recorder.loop(partial(body, False), partial(body, True))
    state, losses, rows = loop(first, stop, (state, losses, rows))
    ended = (stop == total).astype(jnp.int32)
    return state._replace(epoch=state.epoch + ended), losses, rows


def train_step(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    images: Float[Array, "batch *pixels"],
    labels: Int[Array, "batch"],
    mask: Bool[Array, "batch"] | None = None,
) -> tuple[TrainState, Float[Array, ""]]:
    """Update the parameters once, from one batch.

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`.
        loss: `(logits, labels) -> losses`, one per example, such as
            `partial(cross_entropy, reduction="none")`.
        optimizer: Any `optax.GradientTransformation`.
        state: The state before the step.
        images: The batch, scaled as the network expects it.
        labels: The labels of the batch.
        mask: Which examples count, by default all. The network sees the others too,
            but they contribute nothing to the loss or its gradient.

    Returns:
        The state after the step, and the mean loss before it.

    Raises:
        ValueError: If `loss` does not return one loss per example.

    Torch: `optimizer.zero_grad(); loss.backward(); optimizer.step()`. No gradient has
    to be zeroed: it is a value, not a field of the parameters.
    """
    batch = images, labels, mask
    state, value, _ = measured_step(
        apply, loss, optimizer, state, *batch, measure=nothing
    )
    return state, value


def nothing(*_: PyTree) -> None:
    """Measure nothing."""


def measured_step(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    images: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    measure: Measure,
) -> tuple[TrainState, Array, Any]:
    """`train_step`, and `measure(params, gradients, opt_state)` before its update."""
    key = noise_key(state)

    def mean_loss(params: PyTree) -> tuple[Array, PyTree]:
        return batch_loss(
            apply, loss, params, state.model_state, key, images, labels, mask
        )

    value_and_grad = jax.value_and_grad(mean_loss, has_aux=True)
    (value, model_state), gradients = value_and_grad(state.params)
    measured = measure(state.params, gradients, state.opt_state)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params, step = optax.apply_updates(state.params, updates), state.step + 1
    new = {"params": params, "opt_state": opt_state, "model_state": model_state}
    return state._replace(step=step, **new), value, measured


def noise_key(state: TrainState) -> PRNGKey:
    """The key that `Model.train` receives in the step after `state`."""
    _, key = jax.random.split(state.key)
    return jax.random.fold_in(key, state.step)


def batch_loss(
    apply: Network,
    loss: Loss,
    params: PyTree,
    model_state: PyTree,
    key: PRNGKey,
    images: Array,
    labels: Array,
    mask: Array | None,
) -> tuple[Array, PyTree]:
    """The mean loss of a batch, and the new state of the model."""
    arrays = params, model_state, key, images, labels
    losses, model_state = example_losses(apply, loss, *arrays)
    return _mean(losses, mask), model_state


def example_losses(
    apply: Network,
    loss: Loss,
    params: PyTree,
    model_state: PyTree,
    key: PRNGKey,
    images: Array,
    labels: Array,
) -> tuple[Array, PyTree]:
    """The loss of each example in training, and the new state of the model."""
    logits, model_state = as_model(apply).train(params, model_state, images, key)
    return _per_example("train_step", loss, logits, labels), model_state


@partial(jax.jit, static_argnames=("setup", "n"))
def evaluate_batches(
    setup: Setup, params: PyTree, model_state: PyTree, batches: Batches, *, n: int
) -> Evaluation:
    """Evaluate the `n` examples of `batches` that are not masked."""

    def batch_sums(step: Array) -> tuple[Array, Array]:
        images, labels, mask = batches.batch(step)
        images = scaled(images, setup.white, params)
        logits = as_model(setup.apply).evaluate(params, model_state, images)
        losses = _per_example("evaluate", setup.loss, logits, labels)
        correct = mask & (jnp.argmax(logits, axis=-1) == labels)
        return jnp.sum(jnp.where(mask, losses, 0)), jnp.sum(correct, dtype=jnp.int32)

    steps = jnp.arange(len(batches.mask), dtype=jnp.int32)
    losses, counts = jax.lax.map(batch_sums, steps)
    loss_sum, correct = jnp.sum(losses), jnp.sum(counts, dtype=jnp.int32)
    result = Evaluation(loss_sum / n, correct.astype(loss_sum.dtype) / n, correct)
    return constrained(result, setup.mesh)


def train_epoch(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    split: Split,
    *,
    batch_size: SupportsIndex = 256,
    white: int = 255,
    order: Int[ArrayLike, "n"] | None = None,
    first: int = 0,
    steps: int | None = None,
    mesh: Mesh | None = None,
) -> tuple[TrainState, Float[Array, "steps"]]:
    """One pass over a split, or a chunk of its steps, as one compiled program.

    The last batch may be smaller. It is padded with masked examples from the start of
    the epoch, so its loss is the mean over its own examples. Chunking does not change
    a bit of the result: every chunk runs the same program with other bounds.

    Args:
        apply: As in `train_step`. The network receives the images divided by `white`,
            in the dtype of the parameters.
        loss: As in `train_step`.
        optimizer: As in `train_step`.
        state: The state before the first of these steps. Donated: do not reuse it.
        split: The examples, preferably on the device already; with a mesh preferably
            in host memory, from which each device receives its part.
        batch_size: The number of examples per step, at least 1.
        white: The pixel value that means 1.0.
        order: Indices of the examples in the order of use. By default each example is
            used once, shuffled by the state's key and epoch.
        first: The first step to take, counted from the start of the epoch.
        steps: The number of steps to take; by default all that are left.
        mesh: The devices to spread each batch over; by default one device. If they do
            not divide the batch, some receive masked examples.

    Returns:
        The state after these steps, and their losses. The state's `epoch` increases
        with the last step of the epoch.

    Raises:
        TypeError: If `order` does not hold integers or an option is not an int.
        ValueError: If `split` is empty or its images and labels differ in number, an
            entry of `order` is not an index, `batch_size` or `white` is below 1, or
            the epoch does not have the steps that `first` and `steps` select.

    Torch: the loop over `DataLoader(train, batch_size, shuffle=True)`.
    """
    batch_size, white = _check_split("train_epoch", split, batch_size, white)
    state = replicated(state, mesh)
    if order is None:
        batches = shuffled(state, split, batch_size, mesh)
    else:
        indices = _checked_order(order, len(split.labels))
        batches = make_batches(split, batch_size, mesh, indices)
    first, stop = _checked_range(first, steps, total=len(batches.mask))
    setup = Setup(apply, loss, white, mesh)
    state, losses, _ = train_steps(setup, optimizer, state, batches, first, stop)
    return state, losses if stop - first == len(losses) else losses[first:stop]


def evaluate(
    apply: Network,
    loss: Loss,
    params: PyTree,
    split: Split,
    *,
    model_state: PyTree = (),
    batch_size: SupportsIndex = 1000,
    white: int = 255,
    mesh: Mesh | None = None,
) -> Evaluation:
    """Mean loss over a split, and the share of examples classified correctly.

    Args:
        apply: As in `train_step`.
        loss: As in `train_step`.
        params: The parameters; they are not donated.
        split: The examples.
        model_state: The state of a `Model` that has one.
        batch_size: How many examples to hold in memory at a time; it does not affect
            the result.
        white: The pixel value that means 1.0.
        mesh: The devices to spread each batch over; by default one device.

    Raises:
        TypeError, ValueError: As in `train_epoch`.

    Torch: `net.eval()` and the loop under `torch.no_grad()`. JAX records nothing unless
    `jax.grad` is called, so there is nothing to switch off.
    """
    batch_size, white = _check_split("evaluate", split, batch_size, white)
    n = len(split.labels)
    batches = make_batches(split, min(batch_size, n), mesh)
    setup = Setup(apply, loss, white, mesh)
    return evaluate_batches(setup, params, model_state, batches, n=n)


def scaled(images: Array, white: int, params: PyTree) -> Array:
    """Bytes as numbers in [0, 1], in the dtype of the first floating parameter."""
    dtypes: list[Any] = [leaf.dtype for leaf in jax.tree.leaves(params)]
    floating = (dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating))
    dtype = next(floating, jnp.float32)
    return images.astype(dtype) / white


def _per_example(function: str, loss: Loss, logits: Array, labels: Array) -> Array:
    """The losses of a batch, one per example, in single precision or better."""
    losses = loss(logits, labels)
    why = "one for each example: training takes the mean itself"
    check_shape(function, "the result of loss", losses, labels.shape, why)
    return widened(losses)


def _mean(losses: Array, mask: Array | None) -> Array:
    if mask is None:
        return jnp.mean(losses)
    count = jnp.sum(mask, dtype=losses.dtype)
    return jnp.sum(jnp.where(mask, losses, 0)) / count


def _check_split(
    function: str, split: Split, batch_size: SupportsIndex, white: int
) -> tuple[int, int]:
    """Return the numbers as ints."""
    images, labels = map(len, split)
    if images != labels or not labels:
        expected = "split to have one label for each image and at least one"
        raise wrong_value(function, expected, f"{images} images and {labels} labels")
    return (
        check_int(function, "batch_size", batch_size, least=1),
        check_int(function, "white", white, least=1),
    )


def _checked_order(order: ArrayLike, n: int) -> Array:
    indices = np.asarray(check_integer("train_epoch", "order", order))
    if indices.ndim != 1 or not indices.size:
        expected = "order to be a list of indices"
        raise wrong_value("train_epoch", expected, f"shape {indices.shape}")
    check_entries("train_epoch", "order", indices, 0, n - 1)
    return jnp.asarray(indices, jnp.int32)


def _checked_range(first: int, steps: int | None, total: int) -> tuple[int, int]:
    first = check_int("train_epoch", "first", first, least=0)
    if steps is not None:
        steps = check_int("train_epoch", "steps", steps, least=1)
    stop = total if steps is None else first + steps
    if not first < stop <= total:
        expected = f"first and steps within the {total} steps of the epoch"
        raise wrong_value("train_epoch", expected, f"first {first} and steps {steps}")
    return first, stop
