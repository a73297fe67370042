"""Averages of the parameters over a training run, and the schedule for them."""

from collections.abc import Callable
from typing import NamedTuple, SupportsIndex, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxgrad._checks import check_choice, check_int, check_range
from jaxgrad._display import fields_html, short_repr
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, Number, PyTree, Scalar
from jaxgrad.optimizers._common import as_float, cast_like, next_step, zero_step
from jaxgrad.optimizers._schedules import cosine, line

AverageFunction: TypeAlias = Callable[[Array, Array, Array], Array]


class AveragedModel(NamedTuple):
    """An average of parameters, with torch's names."""

    n_averaged: Array  # shape=(), dtype=int32: how many were averaged
    module: PyTree  # like the parameters: their average

    __repr__ = short_repr
    _repr_html_ = fields_html


def averaged_model(params: PyTree) -> AveragedModel:
    """The state of an average before the first update.

    Args:
        params: A pytree of arrays.

    Returns: An `AveragedModel`, a pytree. The first `update_parameters` replaces its
        parameters.
    Torch: `torch.optim.swa_utils.AveragedModel`, whose `avg_fn` is an argument of
        `update_parameters` here.
    """
    return AveragedModel(zero_step(), jax.tree.map(jnp.asarray, params))


def update_parameters(
    averaged: AveragedModel, params: PyTree, avg_fn: AverageFunction | None = None
) -> AveragedModel:
    """The average after one more set of parameters.

    Args:
        averaged: From `averaged_model`, or the last call.
        params: The parameters, a pytree of the same structure.
        avg_fn: A function of the average of an array, the new array and the number of
            arrays in the average; by default `get_swa_avg_fn()`.

    Returns: The new `AveragedModel`, with the same dtypes. The first parameters and all
        integers are copied. 16-bit floats are averaged in float32 and rounded.
    Torch: `torch.optim.swa_utils.AveragedModel.update_parameters`. `optax.ema` averages
        updates, not parameters.

    Examples:
        >>> averaged = averaged_model(jnp.array(0.0))
        >>> for params in (1.0, 2.0, 6.0):
        ...     averaged = update_parameters(averaged, jnp.array(params))
        >>> averaged.module.item(), averaged.n_averaged.item()
        (3.0, 3)
    """
    count, average = averaged.n_averaged, avg_fn or get_swa_avg_fn()

    def updated(old: ArrayLike, new: ArrayLike) -> Array:
        old, new = jnp.asarray(old), jnp.asarray(new)
        if not jnp.issubdtype(old.dtype, jnp.inexact):
            return new.astype(old.dtype)
        mean = average(widened(old), widened(new.astype(old.dtype)), count)
        return jnp.where(count == 0, new.astype(old.dtype), mean.astype(old.dtype))

    module = jax.tree.map(updated, averaged.module, params)
    return AveragedModel(next_step(count), module)


def get_swa_avg_fn() -> AverageFunction:
    """The average in which all parameters have the same weight.

    Returns: A function for `update_parameters`.
    Torch: `torch.optim.swa_utils.get_swa_avg_fn`.
    """

    def equal(averaged: Array, param: Array, num_averaged: Array) -> Array:
        share = cast_like(1 / (as_float(num_averaged) + 1), averaged)
        return averaged + (param - averaged) * share

    return equal


def get_ema_avg_fn(decay: Number = 0.999) -> AverageFunction:
    """The exponential moving average.

    Args:
        decay: The weight of the average so far, in [0, 1].

    Returns: A function for `update_parameters`.
    Raises: ValueError if `decay` is outside [0, 1].
    Torch: `torch.optim.swa_utils.get_ema_avg_fn`, and `get_ema_multi_avg_fn`.
    """
    decay = check_range("get_ema_avg_fn", "decay", decay, 0.0, 1.0)

    def moving(averaged: Array, param: Array, num_averaged: Array) -> Array:
        del num_averaged
        return decay * averaged + (1 - decay) * param

    return moving


def swa_lr(
    lr: Scalar,
    swa_lr: Scalar,
    anneal_epochs: SupportsIndex = 10,
    anneal_strategy: str = "cos",
) -> optax.Schedule:
    """From `lr` to a constant rate, for a training run with averaged parameters.

    Join it to the previous schedule with `sequential_lr`.

    Args:
        lr: The rate at the start.
        swa_lr: The rate at the end.
        anneal_epochs: Steps between the two.
        anneal_strategy: "cos" or "linear".

    Raises: TypeError or ValueError if `anneal_epochs` is not an int >= 0, or
        `anneal_strategy` is unknown.
    Torch: `torch.optim.swa_utils.SWALR`.

    Examples:
        >>> schedule = swa_lr(1.0, 0.5, anneal_epochs=2, anneal_strategy="linear")
        >>> [float(schedule(count)) for count in (0, 1, 2, 3)]
        [1.0, 0.75, 0.5, 0.5]
    """
    epochs = check_int("swa_lr", "anneal_epochs", anneal_epochs, least=0)
    check_choice("swa_lr", "anneal_strategy", anneal_strategy, ("cos", "linear"))
    anneal = cosine if anneal_strategy == "cos" else line

    def schedule(count: ArrayLike) -> Array:
        done = as_float(count) / epochs if epochs else jnp.ones_like(as_float(count))
        return anneal(lr, swa_lr, jnp.minimum(done, 1.0))

    return schedule
