"""The sign, as the derivatives of absolute values and Rprop's steps need it."""

import jax.numpy as jnp

from jaxgrad._types import Array


def sign(x: Array) -> Array:
    """-1, 0 or 1 as in PyTorch, where the sign of NaN is 0; `jnp.sign` has NaN."""
    return jnp.where(jnp.isnan(x), 0, jnp.sign(x))
