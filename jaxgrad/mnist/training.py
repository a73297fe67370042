"""Mini-batch training as pure functions of a state.

PyTorch's loop loads a batch, calls five methods and reads the loss, 235 times an epoch.
Here an epoch is one compiled `lax.scan`: the images stay on the device as bytes, where
they are shuffled, cut into batches and scaled, and what comes back is a new state and
the losses. All that is random follows from the state's key and its two counters, so a
run is a function of its first state.

Everything takes the network, the loss and the optimizer as functions. `jax.jit` knows
functions by identity: make each once, not once per call.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Float, Int

from jaxgrad._checks import check_int, check_integer, check_shape
from jaxgrad._dtypes import widened
from jaxgrad._types import Array, ArrayLike, PyTree
from jaxgrad.mnist._dataset import Dataset, Split
from jaxgrad.mnist._state import Epoch as Epoch
from jaxgrad.mnist._state import Evaluation as Evaluation
from jaxgrad.mnist._state import Model as Model
from jaxgrad.mnist._state import Network as Network
from jaxgrad.mnist._state import TrainState as TrainState
from jaxgrad.mnist._state import as_model, copied
from jaxgrad.mnist._state import init as init

Loss = Callable[[Array, Array], Array]


class Batches(NamedTuple):
    """How an epoch is cut."""

    steps: int
    last: int  # examples in the last one


def batches(n: int, batch_size: int) -> Batches:
    """How many batches `n` examples make, and how many are left for the last.

    Examples:
        >>> batches(60_000, 256)
        Batches(steps=235, last=96)
    """
    steps = -(-n // batch_size)
    return Batches(steps, n - (steps - 1) * batch_size)


def train_step(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    images: Float[Array, "batch *pixels"],
    labels: Int[Array, "batch"],
    mask: Bool[Array, "batch"] | None = None,
) -> tuple[TrainState, Float[Array, ""]]:
    """One update of the parameters from one batch.

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`.
        loss: `(logits, labels) -> losses`, one for each example, such as
            `partial(cross_entropy, reduction="none")`.
        optimizer: Any `optax.GradientTransformation`.
        state: The state before the step.
        images: The batch, scaled as the network wants it.
        labels: The examples' labels.
        mask: Which examples count; all of them by default. The others are seen by
            the network, but have no part in the loss or its gradient.

    Returns:
        The state after the step, and the mean loss before it.

    Raises:
        ValueError: If `loss` does not return one loss for each example.

    Torch: `optimizer.zero_grad(); loss.backward(); optimizer.step()`. There is no
    gradient to be set to zero: it is a value, not a field of the parameters.
    """
    _, noise = jax.random.split(state.key)
    key = jax.random.fold_in(noise, state.step)

    def mean_loss(params: PyTree) -> tuple[Array, PyTree]:
        logits, model_state = as_model(apply).train(
            params, state.model_state, images, key
        )
        return _mean(_losses("train_step", loss, logits, labels), mask), model_state

    (value, model_state), gradients = jax.value_and_grad(mean_loss, has_aux=True)(
        state.params
    )
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    state = state._replace(
        params=optax.apply_updates(state.params, updates),
        opt_state=opt_state,
        step=state.step + 1,
        model_state=model_state,
    )
    return state, value


def train_epoch(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    split: Split,
    *,
    batch_size: int = 256,
    white: int = 255,
    order: Int[ArrayLike, "visits"] | None = None,
) -> tuple[TrainState, Float[Array, "steps"]]:
    """One pass over a split, compiled as a whole.

    The last batch may be smaller. It is filled up with examples from the start of the
    epoch, which are masked: its loss is the mean over its own examples.

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`. The images
            arrive divided by `white`, in the dtype of the parameters.
        loss: As in `train_step`.
        optimizer: Any `optax.GradientTransformation`.
        state: The state before the epoch. Its buffers are given away: use the state
            that is returned instead.
        split: The examples; best already on the device, for they stay there.
        batch_size: The number of examples per step, at least 1.
        white: The pixel value that means 1.0.
        order: Indices of the examples in the order of their visits. By default all
            are visited once, shuffled by the state's key and epoch.

    Returns:
        The state after the epoch, and the losses of its steps.

    Raises:
        ValueError: If `split` is empty or has not one label for each image, if an
            entry of `order` is no index, or if `batch_size` or `white` is below 1.

    Torch: the loop over `DataLoader(train, batch_size, shuffle=True)`.
    """
    _check_split("train_epoch", split)
    check_int("train_epoch", "batch_size", batch_size, least=1)
    check_int("train_epoch", "white", white, least=1)
    if order is not None:
        order = _checked_order(order, len(split.labels))
    return _train_epoch(
        apply, loss, optimizer, state, split, order, batch_size=batch_size, white=white
    )


def evaluate(
    apply: Network,
    loss: Loss,
    params: PyTree,
    split: Split,
    *,
    model_state: PyTree = (),
    batch_size: int = 1000,
    white: int = 255,
) -> Evaluation:
    """The mean loss over a split, and the share of examples that are classified right.

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`.
        loss: As in `train_step`.
        params: The parameters; they stay valid.
        split: The examples.
        model_state: The state of a `Model` that has one.
        batch_size: How many examples are in memory at a time; no result depends on it.
        white: The pixel value that means 1.0.

    Raises:
        ValueError: As in `train_epoch`.

    Torch: `net.eval()` and the loop under `torch.no_grad()`. Without a call of
    `jax.grad` there is nothing recorded that would have to be switched off.
    """
    _check_split("evaluate", split)
    check_int("evaluate", "batch_size", batch_size, least=1)
    check_int("evaluate", "white", white, least=1)
    return _evaluate(
        apply, loss, params, model_state, split, batch_size=batch_size, white=white
    )


def fit(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    dataset: Dataset,
    *,
    epochs: int,
    batch_size: int = 256,
    evaluate_training: bool = False,
) -> Iterator[tuple[TrainState, Epoch]]:
    """Train until `epochs` epochs are completed, telling about each.

        first = init(key, params, optimizer)
        for state, epoch in fit(apply, loss, optimizer, first, dataset, epochs=20):
            print(epoch.epoch, epoch.train_loss, epoch.test_accuracy)

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`.
        loss: As in `train_step`.
        optimizer: Any `optax.GradientTransformation`.
        state: The state to start from, from `init` or of an interrupted run; it stays
            valid. Its completed epochs count towards `epochs`.
        dataset: What to learn from, and what to be judged by.
        epochs: The number of completed epochs to reach, at least 1.
        batch_size: The number of examples per step, at least 1.
        evaluate_training: Whether to evaluate the training set after each epoch,
            too, which adds about a third to the time of an epoch.

    Returns:
        An iterator over the states after each epoch, each with its `Epoch`. The next
        epoch takes the state's buffers: copy what shall be kept
        (`jax.tree.map(jnp.copy, state)`).

    Raises:
        TypeError, ValueError: If `epochs` or `batch_size` is no int or below 1.
    """
    check_int("fit", "epochs", epochs, least=1)
    check_int("fit", "batch_size", batch_size, least=1)
    step = partial(
        train_epoch, apply, loss, optimizer, batch_size=batch_size, white=dataset.white
    )
    judge = partial(evaluate, apply, loss, white=dataset.white)
    train, test = jax.tree.map(jnp.asarray, (dataset.train, dataset.test))
    judged = (train, test) if evaluate_training else (None, test)
    return _epochs(copied(state), epochs, partial(step, split=train), judge, judged)


def _epochs(
    state: TrainState,
    epochs: int,
    step: Callable[[TrainState], tuple[TrainState, Array]],
    judge: Callable[..., Evaluation],
    judged: tuple[Split | None, Split],
) -> Iterator[tuple[TrainState, Epoch]]:
    train, test = judged
    for epoch in range(int(state.epoch), epochs):
        start = time.perf_counter()
        state, losses = step(state)
        losses = np.asarray(losses)  # waits for the epoch to end
        seconds = time.perf_counter() - start
        how = partial(judge, state.params, model_state=state.model_state)
        tested = how(test)
        yield (
            state,
            Epoch(
                epoch=epoch,
                train_loss=float(losses.mean(dtype=np.float64)),
                train_loss_after=None if train is None else float(how(train).loss),
                test_loss=float(tested.loss),
                test_accuracy=int(tested.correct) / len(test.labels),
                seconds=seconds,
            ),
        )


@partial(
    jax.jit,
    static_argnames=("apply", "loss", "optimizer", "batch_size", "white"),
    donate_argnames="state",
)
def _train_epoch(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    split: Split,
    order: Int[Array, "visits"] | None,
    *,
    batch_size: int,
    white: int,
) -> tuple[TrainState, Float[Array, "steps"]]:
    if order is None:
        shuffle, _ = jax.random.split(state.key)
        order = jax.random.permutation(
            jax.random.fold_in(shuffle, state.epoch), len(split.labels)
        )
    dtype = _dtype(state.params)

    def step(state: TrainState, batch: tuple[Array, Array]) -> tuple[TrainState, Array]:
        indices, mask = batch
        # Bytes are gathered, a quarter of what floats would be, and then converted.
        images = _scaled(split.images[indices], white, dtype)
        return train_step(
            apply, loss, optimizer, state, images, split.labels[indices], mask
        )

    state, losses = jax.lax.scan(step, state, _cut(order, batch_size))
    return state._replace(epoch=state.epoch + 1), losses


@partial(jax.jit, static_argnames=("apply", "loss", "batch_size", "white"))
def _evaluate(
    apply: Network,
    loss: Loss,
    params: PyTree,
    model_state: PyTree,
    split: Split,
    *,
    batch_size: int,
    white: int,
) -> Evaluation:
    dtype = _dtype(params)

    def batch(indices_and_mask: tuple[Array, Array]) -> tuple[Array, Array]:
        indices, mask = indices_and_mask
        images = _scaled(split.images[indices], white, dtype)
        labels = split.labels[indices]
        logits = as_model(apply).evaluate(params, model_state, images)
        losses = _losses("evaluate", loss, logits, labels)
        right = mask & (jnp.argmax(logits, axis=-1) == labels)
        return jnp.sum(jnp.where(mask, losses, 0)), jnp.sum(right, dtype=jnp.int32)

    n = len(split.labels)
    sums, rights = jax.lax.map(batch, _cut(jnp.arange(n), min(batch_size, n)))
    correct = jnp.sum(rights, dtype=jnp.int32)
    loss_sum = jnp.sum(sums)
    return Evaluation(loss_sum / n, correct.astype(loss_sum.dtype) / n, correct)


def _cut(order: Array, batch_size: int) -> tuple[Array, Array]:
    """Indices and mask of each batch, (steps, batch_size); the filling is masked."""
    shape = batches(len(order), batch_size).steps, batch_size
    own = jnp.arange(shape[0] * shape[1]) < len(order)
    return jnp.resize(order, shape), own.reshape(shape)


def _losses(function: str, loss: Loss, logits: Array, labels: Array) -> Array:
    losses = loss(logits, labels)
    why = "one for each example: a reduction is the training's own"
    check_shape(function, "the result of loss", losses, labels.shape, why)
    return widened(losses)


def _mean(losses: Array, mask: Array | None) -> Array:
    if mask is None:
        return jnp.mean(losses)
    count = jnp.sum(mask, dtype=losses.dtype)
    return jnp.sum(jnp.where(mask, losses, 0)) / count


def _scaled(images: Array, white: int, dtype: Any) -> Array:
    return images.astype(dtype) / white


def _dtype(params: PyTree) -> Any:
    """The dtype of the first parameters that are floating."""
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(params)]
    return next(dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating))


def _check_split(function: str, split: Split) -> None:
    images, labels = split
    if len(images) != len(labels) or not len(labels):
        raise ValueError(
            f"{function}: expected split to have one label for each image and at least "
            f"one, got {len(images)} images and {len(labels)} labels instead."
        )


def _checked_order(order: ArrayLike, n: int) -> Array:
    indices = np.asarray(check_integer("train_epoch", "order", order))
    wrong = indices[(indices < 0) | (indices >= n)]
    if indices.ndim != 1 or not indices.size or wrong.size:
        got = f"the index {wrong[0]}" if wrong.size else f"shape {indices.shape}"
        raise ValueError(
            f"train_epoch: expected order to be a list of indices below {n}, "
            f"got {got} instead."
        )
    return jnp.asarray(indices, jnp.int32)
