"""Checks of a loss's arguments, which promote and broadcast as in PyTorch.

An invalid value (a probability above 1, a label out of range) raises if values are
known. Inside `jax.jit` they are unknown, so the loss *and* its gradient become NaN:
`poison` is a factor, because the gradient of `where(valid, loss, nan)` would be 0.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxgrad._checks import (
    as_array,
    check_broadcast,
    check_floating,
    wrong_type,
    wrong_value,
)
from jaxgrad._numerics import promoted, widened
from jaxgrad._types import Array, ArrayLike


def unified(function: str, **arguments: ArrayLike) -> tuple[jnp.dtype, list[Array]]:
    """Return the result's dtype, and the floating `arguments` in it, widened."""
    return in_one_dtype(
        *(check_floating(function, *argument) for argument in arguments.items())
    )


def in_one_dtype(*arrays: Array) -> tuple[jnp.dtype, list[Array]]:
    """Return the promoted dtype of `arrays`, and the arrays in it, widened."""
    dtype = promoted(*arrays)
    return dtype, [widened(array.astype(dtype)) for array in arrays]


def check_real(
    function: str, argument: str, value: ArrayLike, or_bool: bool = False
) -> Array:
    """Return `value` as an array; TypeError unless it has integers or floats.

    With `or_bool`, also booleans, as 0 and 1; PyTorch accepts them only in some losses.
    """
    array = as_array(function, argument, value)
    kinds = {"boolean": jnp.bool_, "integer": jnp.integer, "floating": jnp.floating}
    if not or_bool:
        del kinds["boolean"]
    if not any(jnp.issubdtype(array.dtype, kind) for kind in kinds.values()):
        *others, last = kinds
        what = f"{argument} of {'a' if or_bool else 'an'} {', '.join(others)} or {last}"
        raise wrong_type(function, f"{what} dtype", array.dtype)
    return array.astype(jnp.int32) if array.dtype == bool else array


def check_expands(
    function: str, argument: str, array: Array, other: str, shape: tuple[int, ...]
) -> None:
    """ValueError unless `array` broadcasts to exactly the `shape` of `other`."""
    if check_broadcast(function, argument, array, other, shape) != shape:
        what = f"{argument} of a shape that broadcasts to the shape {shape} of {other}"
        raise wrong_value(function, what, f"shape {array.shape}")


def check_same_ndim(function: str, **arrays: Array) -> None:
    (first, leader), *others = arrays.items()
    for argument, array in others:
        if array.ndim != leader.ndim:
            what = f"{argument} with {leader.ndim} axes, like {first}"
            raise wrong_value(function, what, f"shape {array.shape}")


def readable(value: Any) -> np.ndarray | None:
    """The numbers of `value`, or None if they are unknown (traced)."""
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
    """1 where `value` is `valid`, else NaN; ValueError if `value` is known."""
    numbers = readable(value)
    if numbers is not None and not np.all(fits := valid(numbers)):
        wrong = numbers[~np.asarray(fits)][0]
        raise wrong_value(function, f"{argument} {expected}", wrong)
    return jnp.where(valid(jnp.asarray(value)), 1, jnp.nan).astype(dtype)
