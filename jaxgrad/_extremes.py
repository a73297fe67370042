"""The largest and the smallest entry of an array, NaN if one is NaN.

`jnp.max` and `jnp.min` say the same, but XLA on the CPU drops a NaN from a reduction
that is long enough for vector instructions (jax 0.10 and 0.12): of 1000 zeros and a NaN
both are 0.
"""

import jax.numpy as jnp

from jaxgrad._types import Array


def largest(x: Array, axis: int | None = None) -> Array:
    """The largest entry, over one axis or all; NaN, in its gradient too, if one is."""
    return jnp.max(x, axis) * _poison(x, axis)


def smallest(x: Array, axis: int | None = None) -> Array:
    """The smallest entry, over one axis or all; NaN, in its gradient too, if one is."""
    return jnp.min(x, axis) * _poison(x, axis)


def _poison(x: Array, axis: int | None) -> Array:
    return jnp.where(jnp.isnan(x).any(axis), jnp.nan, 1).astype(x.dtype)
