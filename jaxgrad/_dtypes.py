"""Which dtype to compute in, and which to return.

float16 and bfloat16 are computed in float32 and rounded once at the end, as
PyTorch does: their sums and exponentials would otherwise lose every digit. Two
arguments of different dtypes promote as in PyTorch. Both are explicit, so that
they also hold under JAX's strict dtype promotion.
"""

import jax
import jax.numpy as jnp

from jaxgrad._types import Array


def widened(x: Array) -> Array:
    """16-bit floats as float32, all others as they are."""
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def promoted(*arrays: Array) -> jnp.dtype:
    """The dtype that holds all `arrays`; Python numbers adapt to the others."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*arrays)
