"""One step and one epoch of training, as functions from state to state."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Bool, Float, Int

from jaxgrad._checks import check_int, check_integer, check_shape
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, PyTree
from jaxgrad.mnist._dataset import Split
from jaxgrad.mnist._sharding import constrained, replicated
from jaxgrad.mnist._state import Network, TrainState, as_model
from jaxgrad.mnist._visits import Visits, batches, shuffled, visits

Loss = Callable[[Array, Array], Array]


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
        losses = per_example("train_step", loss, logits, labels)
        return _mean(losses, mask), model_state

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
    first: int = 0,
    steps: int | None = None,
    mesh: Mesh | None = None,
) -> tuple[TrainState, Float[Array, "steps"]]:
    """One pass over a split, or a chunk of its steps, as one compiled program.

    The last batch may be smaller. It is filled up with examples from the start of the
    epoch, which are masked: its loss is the mean over its own examples.

    In how many chunks an epoch is done makes no difference, not in the last bit: it is
    the same program, told where to begin and where to end.

    Args:
        apply: The network, `(params, images) -> logits`, or a `Model`. The images
            arrive divided by `white`, in the dtype of the parameters.
        loss: As in `train_step`.
        optimizer: Any `optax.GradientTransformation`.
        state: The state before the first of these steps. Its buffers are given away:
            use the state that is returned instead.
        split: The examples; best already on the device, for they stay there. With a
            mesh best in the host's memory, from which each device gets its part.
        batch_size: The number of examples per step, at least 1.
        white: The pixel value that means 1.0.
        order: Indices of the examples in the order of their visits. By default all
            are visited once, shuffled by the state's key and epoch.
        first: The first step of the epoch to do: those before it are done.
        steps: How many steps to do; all that are left by default.
        mesh: The devices to spread each batch over; by default one. With a batch
            that they do not divide, some of them have masked examples.

    Returns:
        The state after these steps, and their losses. `epoch` counts once the last
        step of the epoch is done.

    Raises:
        ValueError: If `split` is empty or has not one label for each image, if an
            entry of `order` is no index, if `batch_size` or `white` is below 1, or if
            the epoch has not the steps that `first` and `steps` ask for.

    Torch: the loop over `DataLoader(train, batch_size, shuffle=True)`.
    """
    check_split("train_epoch", split)
    check_int("train_epoch", "batch_size", batch_size, least=1)
    check_int("train_epoch", "white", white, least=1)
    n = len(split.labels)
    if order is None:
        visited = shuffled(state.key, state.epoch, n=n)
    else:
        visited = _checked_order(order, n)
    total = batches(len(visited), batch_size).steps
    stop = _checked_stop(first, steps, total)
    if mesh is not None:
        state = replicated(state, mesh)
    seen = visits(split, visited, batch_size, mesh)
    state, losses = train_steps(
        apply, loss, optimizer, state, seen, first, stop, white=white, mesh=mesh
    )
    return state, losses if stop - first == total else losses[first:stop]


@partial(
    jax.jit,
    static_argnames=("apply", "loss", "optimizer", "white", "mesh"),
    donate_argnames="state",
)
def train_steps(
    apply: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    seen: Visits,
    first: ArrayLike,
    stop: ArrayLike,
    *,
    white: int,
    mesh: Mesh | None = None,
) -> tuple[TrainState, Float[Array, "steps"]]:
    """The steps from `first` to before `stop`; the losses of all others are zero.

    The bounds are values, not constants of the program. XLA compiles a loop of known
    length for that length, and what it makes of the last bit may depend on it.
    """
    dtype = floating_dtype(state.params)

    def step(i: Array, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
        state, losses = carry
        images, labels, mask = seen.batch(i)
        images = scaled(images, white, dtype)
        state, value = train_step(apply, loss, optimizer, state, images, labels, mask)
        return constrained((state, losses.at[i].set(value)), mesh)

    def value_of_a_step(state: TrainState) -> Array:
        images, labels, mask = seen.batch(0)
        images = scaled(images, white, dtype)
        return train_step(apply, loss, optimizer, state, images, labels, mask)[1]

    total = len(seen.mask)
    losses = jnp.zeros(total, jax.eval_shape(value_of_a_step, state).dtype)
    first, stop = (jnp.asarray(bound, jnp.int32) for bound in (first, stop))
    state, losses = jax.lax.fori_loop(first, stop, step, (state, losses))
    ended = (stop == total).astype(jnp.int32)
    return state._replace(epoch=state.epoch + ended), losses


def per_example(function: str, loss: Loss, logits: Array, labels: Array) -> Array:
    """The losses of a batch, one for each example, at least in single precision."""
    losses = loss(logits, labels)
    why = "one for each example: a reduction is the training's own"
    check_shape(function, "the result of loss", losses, labels.shape, why)
    return widened(losses)


def scaled(images: Array, white: int, dtype: Any) -> Array:
    """Bytes as numbers in [0, 1]."""
    return images.astype(dtype) / white


def floating_dtype(params: PyTree) -> Any:
    """The dtype of the first parameters that are floating."""
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(params)]
    return next(dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating))


def check_split(function: str, split: Split) -> None:
    """ValueError unless there are examples, each with a label."""
    images, labels = split
    if len(images) != len(labels) or not len(labels):
        raise ValueError(
            f"{function}: expected split to have one label for each image and at least "
            f"one, got {len(images)} images and {len(labels)} labels instead."
        )


def _mean(losses: Array, mask: Array | None) -> Array:
    if mask is None:
        return jnp.mean(losses)
    count = jnp.sum(mask, dtype=losses.dtype)
    return jnp.sum(jnp.where(mask, losses, 0)) / count


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


def _checked_stop(first: int, steps: int | None, total: int) -> int:
    check_int("train_epoch", "first", first, least=0)
    stop = total if steps is None else first + steps
    if steps is not None:
        check_int("train_epoch", "steps", steps, least=1)
    if not first < stop <= total:
        raise ValueError(
            f"train_epoch: expected first and steps within the {total} steps of the "
            f"epoch, got first {first} and steps {steps} instead."
        )
    return stop
