"""A few numbers that summarize an array in tables and pages."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Shaped


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
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        low, high = float(x.min()), float(x.max())
        # Scale first: the square of a large or small number overflows or underflows.
        scale = max(abs(low), abs(high))
        scale = scale if 0 < scale < np.inf else 1.0
        norm = scale * float(np.linalg.norm((x / scale).ravel()))
        zeros, nonfinite = int((x == 0).sum()), int((~np.isfinite(x)).sum())
        return Summary(x.size, low, float(x.mean()), high, norm, zeros, nonfinite)
