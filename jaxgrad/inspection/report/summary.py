"""A few numbers that summarize an array in tables and pages."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Shaped

from jaxgrad._display import fields_html, short_repr


@dataclass(frozen=True)
class Summary:
    """An array in seven numbers.

    Attributes:
        size: Number of elements.
        minimum: Smallest element; NaN if there is one.
        mean: Mean of the elements.
        maximum: Largest element; NaN if there is one.
        norm: Euclidean norm.
        zeros: How many elements are zero.
        nonfinite: How many elements are NaN or infinite.
    """

    size: int
    minimum: float
    mean: float
    maximum: float
    norm: float
    zeros: int
    nonfinite: int

    __repr__ = short_repr
    _repr_html_ = fields_html


EMPTY = Summary(0, np.nan, np.nan, np.nan, 0.0, 0, 0)


def summarize(
    x: Shaped[ArrayLike, "*shape"], taken: np.ndarray | None = None
) -> Summary:
    """The summary of a concrete array, or of its rows `taken`."""
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return Summary(x.size, np.nan, np.nan, np.nan, np.nan, 0, 0)
    kept = np.asarray(x) if taken is None else np.asarray(x)[taken]
    if kept.size == 0:
        return EMPTY
    x = np.abs(kept.astype(np.complex128)) if np.iscomplexobj(kept) else kept
    x = np.array(x, np.float64).reshape(-1)
    size = x.size
    # The methods of an array, such as `x.mean()`, take longer than small arrays need.
    with np.errstate(all="ignore"):
        low, high = float(np.minimum.reduce(x)), float(np.maximum.reduce(x))
        finite = math.isfinite(low) and math.isfinite(high)  # a NaN would be both
        nonfinite = 0 if finite else size - int(np.count_nonzero(np.isfinite(x)))
        zeros = int(np.count_nonzero(x == 0))
        mean = float(np.add.reduce(x)) / size
        norm = _norm(x, max(abs(low), abs(high)))
    return Summary(size, low, mean, high, norm, zeros, nonfinite)


def _norm(x: np.ndarray, largest: float) -> float:
    """The norm of `x`, which is overwritten: a second array would cost more time."""
    # The square of a large or small number overflows or underflows: scale it first.
    extreme = 0 < largest < np.inf and not 1e-100 < largest < 1e100
    scale = largest if extreme else 1.0
    if extreme:
        x /= scale
    # Not with `np.linalg.norm`, whose threads spin for longer than this takes.
    return scale * float(np.sqrt(np.add.reduce(np.square(x, out=x))))
