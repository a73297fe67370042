"""What every activation that acts element by element shares.

Two things only: the argument is checked, and 16-bit floats are computed in float32
and rounded once, as in PyTorch; and where the formula of the derivative is better
than what differentiating the formula gives (0 * inf, a kink, digits lost), it stands
beside the function, itself differentiable to any order.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgrad._checks import check_floating, check_number
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike

# Beyond it every exponential is 0 or infinite, whatever the dtype.
_SATURATED = 1000


def elementwise(
    function: str, formula: Callable[..., Array], x: ArrayLike, **options: ArrayLike
) -> Array:
    """`formula(x, *options)`, all in one dtype, for the activation named `function`."""
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
    """`x` clipped to where exponentials still tell numbers apart: no 0 * inf."""
    return jnp.clip(x, -_SATURATED, _SATURATED)


def bounded_below(x: Array) -> Array:
    """`x` where a gate multiplies it that is 0 at -inf: the product is 0, not NaN."""
    return jnp.maximum(x, -_SATURATED)
