"""Arguments on their way into a formula: checked, in one dtype, of shapes that fit.

Whatever promotes or broadcasts here does so in PyTorch too. A fault in the numbers
themselves (a probability above 1, a label that is no class) raises where they can
be read. Inside `jax.jit` they cannot: there the loss *and* its gradient become
NaN, which takes a multiplication, as behind `where(valid, loss, nan)` the gradient
would be 0.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxgrad._checks import as_array, check_floating
from jaxgrad._numerics import promoted, widened
from jaxgrad._types import Array, ArrayLike


def unified(function: str, **arguments: ArrayLike) -> tuple[jnp.dtype, list[Array]]:
    """The dtype of the result, and the floating `arguments` in it, widened."""
    return in_one_dtype(
        *(check_floating(function, *argument) for argument in arguments.items())
    )


def in_one_dtype(*arrays: Array) -> tuple[jnp.dtype, list[Array]]:
    """The promoted dtype of `arrays`, and each of them in it, 16 bits widened."""
    dtype = promoted(*arrays)
    return dtype, [widened(array.astype(dtype)) for array in arrays]


def check_real(function: str, argument: str, value: ArrayLike) -> Array:
    """Return `value` as an array; TypeError unless it is of integers or floats."""
    array = as_array(function, argument, value)
    kinds = (jnp.integer, jnp.floating)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in kinds):
        raise TypeError(
            f"{function}: expected {argument} of an integer or floating dtype, "
            f"got {array.dtype} instead."
        )
    return array


def check_broadcast(
    function: str, argument: str, array: Array, other: str, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """The broadcast shape of `array` and the argument `other`, else ValueError."""
    try:
        return jnp.broadcast_shapes(array.shape, shape)
    except ValueError:
        raise ValueError(
            f"{function}: expected {argument} of a shape that broadcasts against the "
            f"shape {shape} of {other}, got shape {array.shape} instead."
        ) from None


def check_expands(
    function: str, argument: str, array: Array, other: str, shape: tuple[int, ...]
) -> None:
    """ValueError unless `array` broadcasts to just the `shape` of `other`."""
    if check_broadcast(function, argument, array, other, shape) != shape:
        raise ValueError(
            f"{function}: expected {argument} of a shape that broadcasts to the "
            f"shape {shape} of {other}, got shape {array.shape} instead."
        )


def check_same_ndim(function: str, **arrays: Array) -> None:
    """ValueError unless all `arrays` have as many axes as the first of them."""
    (first, leader), *others = arrays.items()
    for argument, array in others:
        if array.ndim != leader.ndim:
            raise ValueError(
                f"{function}: expected {argument} with {leader.ndim} axes, as "
                f"{first} has, got shape {array.shape} instead."
            )


def readable(value: Any) -> np.ndarray | None:
    """The numbers of `value`, or None where they cannot be read now."""
    if isinstance(value, jax.core.Tracer):
        return None
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        return None
    return np.asarray(value)


def poison(
    function: str,
    argument: str,
    value: Any,
    valid: Callable[[Any], Any],
    expected: str,
    dtype: jnp.dtype,
) -> Array:
    """1 where `value` is `valid`, else NaN; ValueError where it can be read."""
    numbers = readable(value)
    if numbers is not None and not np.all(fits := valid(numbers)):
        raise ValueError(
            f"{function}: expected {argument} {expected}, "
            f"got {numbers[~np.asarray(fits)][0]} instead."
        )
    return jnp.where(valid(jnp.asarray(value)), 1, jnp.nan).astype(dtype)
