"""What every loss does at its end: keep, average or add the single losses."""

import jax.numpy as jnp

from jaxgrad._checks import check_choice
from jaxgrad._types import Array, Reduction

REDUCTIONS = ("none", "mean", "sum")


def check_reduction(function: str, reduction: str) -> None:
    """ValueError unless `reduction` is "none", "mean" or "sum"."""
    check_choice(function, "reduction", reduction, REDUCTIONS)


def reduce(losses: Array, reduction: Reduction) -> Array:
    """All losses, their mean (NaN if there are none) or their sum."""
    if reduction == "none":
        return losses
    return jnp.mean(losses) if reduction == "mean" else jnp.sum(losses)


def weighted_mean(losses: Array, total_weight: Array) -> Array:
    """sum(losses) / total_weight; NaN with a zero gradient if that is 0.

    A plain 0 / 0 would be NaN too, but with a NaN gradient.
    """
    empty = total_weight == 0
    mean = jnp.sum(losses) / jnp.where(empty, 1, total_weight)
    return mean + jnp.where(empty, jnp.nan, 0).astype(mean.dtype)
