"""A few numbers that summarize an array in tables and pages.

`summarize` computes them with NumPy from an array. `measure` computes them inside a
compiled program, so that the array never leaves the device; in a loop it runs once per
iteration, and `Summary.of` combines the iterations.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float, Shaped

from jaxgrad._numerics import largest, smallest
from jaxgrad._types import Array

MEASURES = 8
DIGIT = 4096  # a count is passed as two digits: float32 is exact up to 2**24


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

    @staticmethod
    def of(measures: np.ndarray, size: int, taken: np.ndarray | None) -> "Summary":
        """Combine the results of `measure` in each iteration, shape `(*loops, 8)`.

        Each is of `size` elements; only the iterations `taken` count, None for all.
        """
        rows = np.asarray(measures, np.float64).reshape(-1, MEASURES)
        if taken is not None:
            rows = rows[np.asarray(taken).reshape(-1)]
        if not len(rows) or not size:
            return EMPTY
        low, mean, high, norm = rows.T[:4]
        zeros, nonfinite = DIGIT * rows.T[4::2] + rows.T[5::2]
        return Summary(
            size=size * len(rows),
            minimum=float(low.min()),
            mean=float(mean.mean()),
            maximum=float(high.max()),
            norm=float(np.linalg.norm(norm)),
            zeros=int(zeros.sum()),
            nonfinite=int(nonfinite.sum()),
        )


EMPTY = Summary(0, np.nan, np.nan, np.nan, 0.0, 0, 0)


def measure(x: Shaped[Array, "*shape"]) -> Float[Array, "measures"]:
    """Minimum, mean, maximum, norm, zeros and non-finite elements of `x`, traced."""
    x = jnp.asarray(_real(x, jnp))
    if x.size == 0:
        return jnp.zeros(MEASURES, x.dtype)
    numbers = _numbers(x, jnp, smallest(x), largest(x))
    digits = (d.astype(x.dtype) for n in numbers[4:] for d in divmod(n, DIGIT))
    return jnp.stack([*numbers[:4], *digits])


def summarize(
    x: Shaped[ArrayLike, "*shape"], taken: np.ndarray | None = None
) -> Summary:
    """The summary of a concrete array, or of its rows `taken`."""
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return Summary(x.size, np.nan, np.nan, np.nan, np.nan, 0, 0)
    kept = np.asarray(x) if taken is None else np.asarray(x)[taken]
    if kept.size == 0:
        return EMPTY
    wide = np.complex128 if np.iscomplexobj(kept) else np.float64
    x = np.asarray(_real(kept.astype(wide), np))
    with np.errstate(all="ignore"):
        low, mean, high, norm, *counts = _numbers(x, np, x.min(), x.max())
    numbers = float(low), float(mean), float(high), float(norm)
    return Summary(x.size, *numbers, int(counts[0]), int(counts[1]))


def _numbers(x: Any, numpy: Any, low: Any, high: Any) -> list[Any]:
    """Minimum, mean, maximum, norm, zeros and non-finite elements of `x`."""
    size = numpy.maximum(abs(low), abs(high))
    # Scale first: the square of a large or small number overflows or underflows.
    scale = numpy.where((size > 0) & numpy.isfinite(size), size, 1)
    norm = scale * numpy.sqrt(numpy.square(x / scale).sum())
    return [low, x.mean(), high, norm, (x == 0).sum(), (~numpy.isfinite(x)).sum()]


def _real(x: Any, numpy: Any) -> Any:
    """`x` as float32 or float64; complex numbers are replaced by their magnitude."""
    if numpy.issubdtype(x.dtype, np.complexfloating):
        return numpy.abs(x)
    if x.dtype in (np.float32, np.float64):
        return x
    return x.astype(np.float32)
