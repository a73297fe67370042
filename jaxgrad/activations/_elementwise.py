"""Helpers shared by the elementwise activations.

`elementwise` checks the arguments and, as PyTorch does, computes 16-bit floats in
float32 and rounds once. `with_slope` sets a function's derivative where differentiating
its formula gives 0 * inf, a different value at a kink or fewer digits. That derivative
can be differentiated again, to any order.
"""

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgrad._checks import check_floating, check_number
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike

LARGEST = sys.float_info.max
# Beyond this every exponential is 0 or infinite, in every dtype.
_SATURATED = 1000


def elementwise(
    function: str, formula: Callable[..., Array], x: ArrayLike, **options: ArrayLike
) -> Array:
    """Evaluate `formula(x, *options)` in one dtype for the activation `function`."""
    x = check_floating(function, "x", x)
    wide = widened(x)
    for name, option in options.items():
        check_number(function, name, option)
    in_dtype = (jnp.asarray(option, wide.dtype) for option in options.values())
    return formula(wide, *in_dtype).astype(x.dtype)


def with_slope(
    slope: Callable[[Array], Array],
) -> Callable[[Callable[[Array], Array]], Callable[[Array], Array]]:
    """Set the derivative of a function of one array: `@with_slope(jnp.exp)`."""

    def decorate(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
        known = jax.custom_jvp(function)
        known.defjvps(lambda dx, y, x: slope(x) * dx)
        return known

    return decorate


def bounded(x: Array) -> Array:
    """`x` clipped to a finite range: times a factor of 0 it gives 0, not NaN."""
    return jnp.clip(x, -_SATURATED, _SATURATED)


def bounded_below(x: Array) -> Array:
    """`x`, but finite at -inf: times a gate of 0 it gives 0, not NaN."""
    return jnp.maximum(x, -_SATURATED)
