"""Random numbers against the distribution that they should have.

The Kolmogorov distance D is the largest difference between the share of numbers up to
x and the distribution function at x. For n independent numbers sqrt(n) D exceeds 2.7
with a probability of 1e-6, whatever the distribution and however large n is, so the
seed results bound sqrt(n) D.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jax.scipy.special import ndtr

Distribution: TypeAlias = Callable[[np.ndarray], np.ndarray]


class Fit(NamedTuple):
    """Moments of a sample, and sqrt(n) times its Kolmogorov distance."""

    mean: float
    variance: float
    kolmogorov: float


def fit(numbers: Any, distribution: Distribution) -> Fit:
    """Compare any array of numbers with a distribution function."""
    exact = np.sort(np.ravel(np.asarray(numbers)).astype(np.float64))
    return Fit(
        float(exact.mean()), float(exact.var()), _kolmogorov(exact, distribution)
    )


def _kolmogorov(numbers: np.ndarray, distribution: Distribution) -> float:
    n, expected = len(numbers), distribution(numbers)
    shares = np.arange(n + 1) / n
    above, below = shares[1:] - expected, expected - shares[:-1]
    return float(np.sqrt(n) * max(above.max(), below.max()))


def uniform(x: np.ndarray) -> np.ndarray:
    """The distribution of U(0, 1)."""
    return np.clip(x, 0, 1)


def sum_of_two_uniform(x: np.ndarray) -> np.ndarray:
    """The distribution of the sum of two independent U(0, 1)."""
    return np.where(x < 1, x**2 / 2, 1 - (2 - x) ** 2 / 2)


def normal(x: np.ndarray) -> np.ndarray:
    """The distribution of N(0, 1), to float32 precision."""
    return np.asarray(ndtr(x.astype(np.float32)), np.float64)
