"""The reduction at the end of every loss: none, mean or sum."""

import jax
import jax.numpy as jnp

from jaxgrad._checks import check_choice
from jaxgrad._types import Array, Reduction

REDUCTIONS = ("none", "mean", "sum")


def reduce(
    function: str, losses: Array, reduction: Reduction, total: Array | int | None = None
) -> Array:
    """The losses, their sum, or their sum divided by `total` (default: their count)."""
    check_choice(function, "reduction", reduction, REDUCTIONS)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return jnp.sum(losses)
    return jnp.sum(losses) / (losses.size if total is None else total)


@jax.jit
def mean_of_kept(losses: Array, weight: Array, kept: Array) -> Array:
    """sum(losses) / sum(weight) over the kept samples; NaN if none is kept."""
    # The constant NaN has PyTorch's gradient of 0; that of 0 / 0 would be NaN.
    empty = ~jnp.any(kept)
    total = jnp.where(empty, 1, jnp.sum(jnp.where(kept, weight, 0)))
    nothing = jnp.where(empty, jnp.nan, 0).astype(losses.dtype)
    return jnp.sum(jnp.where(kept, losses, 0)) / total + nothing
