"""Initializers that ignore the axes: constants and independent random numbers."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Float

from jaxgrad._checks import check_positive, check_range, wrong_value
from jaxgrad._types import Array, DTypeLike, PRNGKey
from jaxgrad.initializers._initializer import Initializer, Shape, initializer


def uniform(a: float = 0.0, b: float = 1.0) -> Initializer:
    """Uniform numbers in [a, b).

    Args:
        a: The lower bound.
        b: The upper bound; only rounding to the dtype can reach it.

    Returns: An initializer of any shape.
    Raises: ValueError if `a > b`.
    Torch: `torch.nn.init.uniform_`.
    """
    check_range("uniform", "b", b, least=a)
    return initializer(
        "uniform", lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, a, b)
    )


def normal(mean: float = 0.0, std: float = 1.0) -> Initializer:
    """Normal numbers with the given mean and standard deviation.

    Args:
        mean: The mean.
        std: The standard deviation.

    Returns: An initializer of any shape.
    Raises: ValueError if `std` is negative.
    Torch: `torch.nn.init.normal_`.
    """
    check_range("normal", "std", std, least=0.0)
    draw = jax.nn.initializers.normal(std)
    return initializer(
        "normal", lambda key, shape, dtype: mean + draw(key, shape, dtype)
    )


def trunc_normal(
    mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Initializer:
    r"""Normal numbers, restricted to [a, b].

    Args:
        mean: The mean before the truncation.
        std: The standard deviation before the truncation.
        a: The lower bound: a value, not a number of standard deviations (in
            `jax.nn.initializers.truncated_normal` it is multiplied by `stddev`).
        b: The upper bound.

    Returns: An initializer of any shape.
    Raises: ValueError if `std` is not positive, if `a > b` or, on the call, if [a, b]
        is so far from the mean that its probability underflows in the dtype (more than
        12 standard deviations in float32, 37 in float64).
    Torch: `torch.nn.init.trunc_normal_`, which may be incorrect, and warns, if the mean
        is more than 2 `std` outside [a, b]; this one is correct.

    Examples:
        >>> values = trunc_normal(std=0.02, a=-0.01, b=0.01)(jax.random.key(0), (1000,))
        >>> abs(values).max().item() <= 0.01
        True
    """
    check_range("trunc_normal", "b", b, least=a)
    check_positive("trunc_normal", "std", std)
    # Mirrored to the left of the mean, where the cdf keeps its digits.
    side = -1.0 if a + b > 2 * mean else 1.0
    low, high = sorted(_normal_cdf(side * (x - mean) / std) for x in (a, b))

    def draw(key: PRNGKey, shape: Shape, dtype: DTypeLike) -> Array:
        info = jnp.finfo(dtype)
        if high < info.tiny:
            what = f"mean closer to [a, b] = [{a}, {b}] in {jnp.dtype(dtype)}"
            raise wrong_value("trunc_normal", what, f"mean {mean} and std {std}")
        # Half a step above jax.random's grid, so never 0, whose quantile is infinite.
        u = jax.random.uniform(key, shape, dtype) + float(info.eps) / 2
        quantile = side * ndtri(low + (high - low) * u)
        return jnp.clip(mean + std * quantile, a, b)

    return initializer("trunc_normal", draw)


def constant(val: float) -> Initializer:
    """The same value everywhere.

    Args:
        val: The value.

    Returns: An initializer of any shape.
    Torch: `torch.nn.init.constant_`.
    """
    return initializer("constant", jax.nn.initializers.constant(val))


def ones(
    key: PRNGKey, shape: Sequence[int], dtype: DTypeLike | None = None
) -> Float[Array, "..."]:
    """An initializer of ones, of any shape.

    Torch: `torch.nn.init.ones_`.
    """
    return initializer("ones", jax.nn.initializers.ones)(key, shape, dtype)


def zeros(
    key: PRNGKey, shape: Sequence[int], dtype: DTypeLike | None = None
) -> Float[Array, "..."]:
    """An initializer of zeros, of any shape.

    Torch: `torch.nn.init.zeros_`.
    """
    return initializer("zeros", jax.nn.initializers.zeros)(key, shape, dtype)


def _normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2
