"""What every activation that acts element by element shares.

`elementwise` checks the arguments and, as PyTorch does, computes 16-bit floats in
float32 and rounds once. `with_slope` gives a function a derivative of its own, for
where differentiating the formula gives 0 * inf, another choice at a kink or fewer
digits. That derivative can itself be differentiated to any order.
"""

import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgrad._checks import check_floating, check_number
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike

LARGEST = sys.float_info.max
# Beyond it every exponential is 0 or infinite, whatever the dtype.
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
    """Give a function of one array its derivative: `@with_slope(jnp.exp)`."""

    def decorate(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
        known = jax.custom_jvp(function)
        known.defjvps(lambda dx, y, x: slope(x) * dx)
        return known

    return decorate


def bounded(x: Array) -> Array:
    """`x` clipped to where exponentials are neither 0 nor infinite: no 0 * inf."""
    return jnp.clip(x, -_SATURATED, _SATURATED)


def bounded_below(x: Array) -> Array:
    """`x`, finite at -inf, so that the product with a gate that is 0 there is 0."""
    return jnp.maximum(x, -_SATURATED)
