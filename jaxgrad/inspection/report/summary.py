"""A few numbers that summarize an array in tables and pages."""

import functools
import math
import operator
from dataclasses import dataclass
from typing import Any

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


BLOCK = 2**16  # elements that are read at once, and fit into the processor's cache
JOIN = np.minimum, np.maximum, *(operator.add,) * 4  # the numbers of two blocks
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
    x = x.reshape(-1)
    with np.errstate(all="ignore"):
        parts = [_numbers(x[i : i + BLOCK]) for i in range(0, x.size, BLOCK)]
        columns = zip(*parts, strict=True)
        low, high, total, squares, *counts = map(functools.reduce, JOIN, columns)
        norm = _norm(x, float(max(abs(low), abs(high))), float(squares))
    return Summary(
        x.size, float(low), float(total / x.size), float(high), norm, *counts
    )


def _numbers(x: np.ndarray) -> tuple[Any, ...]:
    """Minimum, maximum, sum, sum of squares, and how many are zero or not finite."""
    x = x.astype(np.float64)
    low, high, total = np.minimum.reduce(x), np.maximum.reduce(x), np.add.reduce(x)
    finite = math.isfinite(low) and math.isfinite(high)  # a NaN would be both
    nonfinite = 0 if finite else x.size - int(np.count_nonzero(np.isfinite(x)))
    zeros = int(np.count_nonzero(x == 0))
    # Not with `np.dot`, whose threads spin for longer than this takes.
    return low, high, total, np.add.reduce(np.square(x, out=x)), zeros, nonfinite


def _norm(x: np.ndarray, largest: float, squares: float) -> float:
    """The norm; its square may have left the range of numbers, then `x` is scaled."""
    if 0 < largest < np.inf and not 1e-100 < largest < 1e100:
        return largest * float(np.sqrt(np.square(x.astype(np.float64) / largest).sum()))
    return math.sqrt(squares)
