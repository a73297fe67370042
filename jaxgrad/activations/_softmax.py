r"""Softmax and its family, computed after subtracting the maximum.

No exponential then exceeds 1 and one of them is 1, which prevents overflow and 0/0.
The derivative is computed from the *result*:
$dy = y \, (dx - \sum y \, dx)$ and $d \log y = dx - \sum y \, dx$.
float16 and bfloat16 are computed in float32 and rounded once, as in PyTorch.
"""

from collections.abc import Callable
from functools import partial
from typing import SupportsIndex

import jax
import jax.numpy as jnp
from jaxtyping import Float, Real

from jaxgrad._checks import (
    as_array,
    check_axis,
    check_floating,
    check_floating_dtype,
    check_positive,
    wrong_value,
)
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, DTypeLike, Flag, Number, PRNGKey


def softmax(
    x: Real[ArrayLike, "*shape"], axis: SupportsIndex, dtype: DTypeLike | None = None
) -> Float[Array, "*shape"]:
    r"""Exponentials along an axis, normalised to sum to one.

    $$ f(x)_i = \frac{e^{x_i}}{\sum_j e^{x_j}} $$

    Args:
        x: Logits of a floating dtype, shape `(*shape)`; with `dtype` given, also
            integers.
        axis: The axis that sums to one; as in PyTorch, a 0-d array has one axis.
        dtype: A floating dtype to which `x` is cast first.

    Returns: Array of the shape of `x`, and of its dtype or of `dtype`. An entry of -inf
        has probability 0; a slice with only -inf, or with +inf in it, is NaN.
    Raises: TypeError if `x` (without `dtype`) or `dtype` is not floating; ValueError if
        `axis` is not an axis of `x`.
    Torch: `torch.nn.functional.softmax`.

    Examples:
        >>> softmax(jnp.array([0.0, 0.0, 1.0]), axis=0).round(5).tolist()
        [0.21194, 0.21194, 0.57612]
    """
    return _along_axis("softmax", _softmax, x, axis, dtype)


def log_softmax(
    x: Real[ArrayLike, "*shape"], axis: SupportsIndex, dtype: DTypeLike | None = None
) -> Float[Array, "*shape"]:
    r"""The logarithm of softmax, finite where the probability itself underflows.

    $$ f(x)_i = x_i - \log \sum_j e^{x_j} $$

    Args: as in `softmax`.
    Returns: Array of the shape of `x`, and of its dtype or of `dtype`; all entries <=
        0.
    Raises: TypeError or ValueError as in `softmax`.
    Torch: `torch.nn.functional.log_softmax`.

    Examples:
        >>> log_softmax(jnp.array([0.0, 1000.0]), axis=0).tolist()
        [-1000.0, 0.0]
    """
    return _along_axis("log_softmax", _log_softmax, x, axis, dtype)


def softmin(
    x: Real[ArrayLike, "*shape"], axis: SupportsIndex, dtype: DTypeLike | None = None
) -> Float[Array, "*shape"]:
    r"""Softmax of the negated input: the smallest entry gets the largest share.

    $$ f(x)_i = \frac{e^{-x_i}}{\sum_j e^{-x_j}} $$

    Args: as in `softmax`.
    Returns: Array of the shape of `x`, and of its dtype or of `dtype`.
    Raises: TypeError or ValueError as in `softmax`.
    Torch: `torch.nn.functional.softmin`.

    Examples:
        >>> softmin(jnp.array([0.0, 0.0, 1.0]), axis=0).round(5).tolist()
        [0.42232, 0.42232, 0.15536]
    """
    return _along_axis("softmin", lambda x, axis: _softmax(-x, axis), x, axis, dtype)


def softmax2d(
    x: Float[ArrayLike, "*batch channels height width"],
) -> Float[Array, "*batch channels height width"]:
    r"""Softmax over the channels of every pixel.

    Args:
        x: Images, shape `(channels, height, width)` or
            `(batch, channels, height, width)`.

    Returns: Array of the shape and dtype of `x`.
    Raises: TypeError if `x` is not floating; ValueError if `x` has neither 3 nor 4
        axes.
    Torch: `torch.nn.Softmax2d`.

    Examples:
        >>> softmax2d(jnp.zeros((2, 1, 3))).tolist()
        [[[0.5, 0.5, 0.5]], [[0.5, 0.5, 0.5]]]
    """
    x = check_floating("softmax2d", "x", x)
    if x.ndim not in (3, 4):
        raise wrong_value("softmax2d", "x with 3 or 4 axes", f"shape {x.shape}")
    return _along_axis("softmax2d", _softmax, x, -3, None)


def gumbel_softmax(
    logits: Float[ArrayLike, "*shape"],
    tau: Number | Float[Array, ""] = 1.0,
    hard: Flag = False,
    axis: SupportsIndex = -1,
    *,
    key: PRNGKey,
) -> Float[Array, "*shape"]:
    r"""A differentiable sample from a categorical distribution.

    $$ y = \mathrm{softmax}((x + g) / \tau), \qquad g \sim \mathrm{Gumbel}(0, 1) $$

    Args:
        logits: Unnormalised log probabilities, any floating array.
        tau: Temperature > 0, dimensionless; as it goes to 0, samples become one-hot.
        hard: Whether to return the one-hot vector of the largest entry, with the
            gradient of the soft sample (straight-through).
        axis: The axis that holds the categories.
        key: The PRNG key.

    Returns: Array of the shape and dtype of `logits`.
    Derivative: That of the soft sample, even with `hard`.
    Raises: TypeError if `logits` is not floating; ValueError if `tau` is a number <= 0,
        or `axis` is not an axis of `logits`.
    Torch: `torch.nn.functional.gumbel_softmax`, whose hard samples can miss 0 and 1 by
        a rounding error; here they are exact.

    Examples:
        >>> import jax
        >>> key = jax.random.key(0)
        >>> gumbel_softmax(jnp.array([0.0, 9.0]), hard=True, key=key).tolist()
        [0.0, 1.0]
    """
    logits = check_floating("gumbel_softmax", "logits", logits)
    axis = check_axis("gumbel_softmax", axis, logits.ndim)
    if isinstance(tau, int | float):
        check_positive("gumbel_softmax", "tau", tau)
    wide = widened(logits)
    noise = jax.random.gumbel(key, wide.shape, wide.dtype)
    soft = softmax((wide + noise) / jnp.asarray(tau, wide.dtype), axis)
    return (_straight_through(soft, axis) if hard else soft).astype(logits.dtype)


def _straight_through(soft: Array, axis: int) -> Array:
    """One-hot at the largest entry, with the derivative of `soft`."""
    soft_1d = jnp.atleast_1d(soft)
    categories = soft_1d.shape[axis]
    hard = jax.nn.one_hot(
        jnp.argmax(soft_1d, axis), categories, dtype=soft.dtype, axis=axis
    ).reshape(soft.shape)
    return hard + (soft - jax.lax.stop_gradient(soft))


def _along_axis(
    function: str,
    kernel: Callable[[Array, int], Array],
    x: ArrayLike,
    axis: SupportsIndex,
    dtype: DTypeLike | None,
) -> Array:
    """Apply `kernel` to `x`, widened and with at least one axis, along `axis`."""
    x = as_array(function, "x", x)
    if dtype is not None and not jnp.iscomplexobj(x):
        x = x.astype(check_floating_dtype(function, dtype))
    x = check_floating(function, "x", x)
    axis = check_axis(function, axis, x.ndim)
    result = kernel(jnp.atleast_1d(widened(x)), axis)
    return result.reshape(x.shape).astype(x.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _softmax(x: Array, axis: int) -> Array:
    exponentials = jnp.exp(_shifted(x, axis))
    return exponentials / jnp.sum(exponentials, axis, keepdims=True)


@_softmax.defjvp
def _softmax_jvp(
    axis: int, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = _softmax(x, axis)
    return y, y * (dx - jnp.sum(y * dx, axis, keepdims=True))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _log_softmax(x: Array, axis: int) -> Array:
    shifted = _shifted(x, axis)
    return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis, keepdims=True))


@_log_softmax.defjvp
def _log_softmax_jvp(
    axis: int, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    log_y = _log_softmax(x, axis)
    return log_y, dx - jnp.sum(jnp.exp(log_y) * dx, axis, keepdims=True)


def _shifted(x: Array, axis: int) -> Array:
    # The initial value allows an axis of length 0.
    return x - jnp.max(x, axis, keepdims=True, initial=-jnp.inf)
