"""Shared numerics: dtypes, extremes, signs and difference quotients."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from jaxgrad._types import Array, ArrayLike, PyTree

Result = TypeVar("Result")


def widened(x: Array) -> Array:
    """Cast 16-bit floats to float32, the precision in which PyTorch computes them."""
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def promoted(*arrays: Array) -> jnp.dtype:
    """The dtype PyTorch promotes `arrays` to, even under strict promotion."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*arrays)


def largest(x: Array, axis: int | None = None) -> Array:
    """The largest entry over one axis or all; NaN, with a NaN gradient, if one is NaN.

    On the CPU, `jnp.max` and `jnp.min` of 1000 zeros and one NaN are 0: XLA drops the
    NaN from a long reduction (jax 0.10 and 0.12).
    """
    return jnp.max(x, axis) * _one_or_nan(x, axis)


def smallest(x: Array, axis: int | None = None) -> Array:
    """The smallest entry over one axis or all; NaN as in `largest`."""
    return jnp.min(x, axis) * _one_or_nan(x, axis)


def _one_or_nan(x: Array, axis: int | None) -> Array:
    return jnp.where(jnp.isnan(x).any(axis), jnp.nan, 1).astype(x.dtype)


def sign(x: Array) -> Array:
    """-1, 0 or 1; 0 at NaN as in PyTorch (`jnp.sign` returns NaN)."""
    return above(x, 0).astype(x.dtype) - above(-x, 0).astype(x.dtype)


def at_most(x: Array, bound: ArrayLike) -> Array:
    """X <= bound, exact for subnormal numbers, which XLA treats as 0 on the CPU."""
    bound = jnp.asarray(bound, x.dtype)
    return (x <= bound) & (_rank(x) <= _rank(bound))


def above(x: Array, bound: ArrayLike) -> Array:
    """X > bound, exact for subnormal numbers."""
    bound = jnp.asarray(bound, x.dtype)
    return (x >= bound) & (_rank(x) > _rank(bound))


def in_tiny(x: Array) -> Array:
    """|x| divided by the smallest normal number, exact for subnormal `x`."""
    info, size = jnp.finfo(x.dtype), jnp.abs(x)
    tiny = float(info.tiny)
    subnormal = _rank(size).astype(x.dtype) * float(info.eps)
    return jnp.where(size < tiny, subnormal, size / tiny)


def _rank(x: Array) -> Array:
    """An integer that orders finite numbers; it is the same for 0 and -0."""
    bits = jax.lax.bitcast_convert_type(x, f"int{8 * x.dtype.itemsize}")
    return jnp.where(bits < 0, jnp.iinfo(bits.dtype).min - bits, bits)


def default_step(x: Array, eps: float | None = None) -> Array:
    """The step eps^(1/3) max(1, |x|) for each entry of `x`, in its dtype.

    It balances the truncation error O(h^2) against the rounding error O(eps / h):
    6e-6 in float64, 5e-3 in float32, 0.1 in float16, 0.2 in bfloat16.
    """
    eps = float(jnp.finfo(x.dtype).eps) if eps is None else eps
    return (eps ** (1 / 3) * jnp.maximum(1, jnp.abs(x))).astype(x.dtype)


def coarsest(results: PyTree) -> float:
    """The largest eps among the dtypes of floating or complex arrays."""
    return max(float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(results))


def usual_error(dtype: Any) -> float:
    """The largest relative error of an accurate result: 1000 units in the last place.

    In 16 bits that is more than all digits; there it is half of the digits.
    """
    eps = float(jnp.finfo(dtype).eps)
    return min(1000 * eps, eps**0.5)


def central_difference(f: Callable[..., Result], x: Array, step: Array) -> Result:
    """The central difference quotient, over the step as rounded."""
    ahead, behind = x + step, x - step
    return _quotient(f(ahead), f(behind), ahead - behind)


class Slopes(NamedTuple):
    """Difference quotients to the left, across and to the right of a point."""

    left: PyTree
    across: PyTree
    right: PyTree


def slopes(
    f: Callable[[Array], PyTree], x: Array, value: PyTree, step: Array
) -> Slopes:
    """The quotients of f(x - step), `value` = f(x) and f(x + step).

    Where f is smooth, all three agree up to O(step). At a kink, left and right differ
    for every step, and `across`, the central difference, is their mean.
    """
    ahead, behind = x + step, x - step
    high, low = f(ahead), f(behind)
    return Slopes(
        _quotient(value, low, x - behind),
        _quotient(high, low, ahead - behind),
        _quotient(high, value, ahead - x),
    )


def _quotient(high: PyTree, low: PyTree, distance: Array) -> PyTree:
    return jax.tree.map(lambda a, b: (a - b) / distance.astype(a.dtype), high, low)
