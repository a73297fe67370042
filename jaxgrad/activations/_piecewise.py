"""Activations that are linear between kinks.

At a kink the derivative is a choice, and PyTorch's choice is part of each
function's contract: it stands under "Derivative". Nearly all of them come from the
formula itself: `where(x <= 0, 0, x)` has the derivative 0 at 0, and lets NaN through.
The derivative *at* NaN is that of PyTorch's scalar code; its vector code, which takes
longer arrays, answers otherwise for some of them (0, or NaN).
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxgrad._checks import check_floating, check_number, check_range, check_shape
from jaxgrad._numerics import promoted, widened
from jaxgrad._types import Array, ArrayLike, PRNGKey
from jaxgrad.activations._elementwise import elementwise, with_slope


def threshold(
    x: Float[ArrayLike, "*shape"], threshold: float, value: float
) -> Float[Array, "*shape"]:
    r"""Keep what is above a threshold, replace the rest.

    $$ f(x) = x \text{ if } x > t \text{ else } v $$

    Args:
        x: Any floating array, shape `(*shape)`.
        threshold: The threshold $t$, in the unit of `x`.
        value: The replacement $v$, in the unit of `x`.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        1 for x > t, 0 for x <= t; 1 at NaN.

    Raises:
        TypeError: If `x` is not floating.

    Examples:
        >>> threshold(jnp.array([-1.0, 0.5, 2.0]), 0.5, -7.0).tolist()
        [-7.0, -7.0, 2.0]

    Torch: `torch.nn.functional.threshold`.
    """
    return elementwise("threshold", _threshold, x, threshold=threshold, value=value)


def relu(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""Rectified linear unit.

    $$ f(x) = \max(x, 0) $$

    Args:
        x: Any floating array, shape `(*shape)`.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        1 for x > 0, 0 for x < 0 and, as in PyTorch, 0 at x = 0; 1 at NaN.

    Raises:
        TypeError: If `x` is not floating.

    Examples:
        >>> import jax
        >>> relu(jnp.array([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 2.0]
        >>> jax.grad(relu)(0.0).item()
        0.0

    Torch: `torch.nn.functional.relu`.
    """
    return elementwise("relu", _threshold, x, threshold=0, value=0)


def relu6(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""Rectified linear unit, capped at 6.

    $$ f(x) = \min(\max(x, 0), 6) $$

    Args:
        x: Any floating array, shape `(*shape)`.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        1 for 0 < x < 6, 0 elsewhere and at both kinks; 1 at NaN.

    Raises:
        TypeError: If `x` is not floating.

    Examples:
        >>> relu6(jnp.array([-1.0, 3.0, 8.0])).tolist()
        [0.0, 3.0, 6.0]

    Torch: `torch.nn.functional.relu6`.
    """
    return elementwise("relu6", _hardtanh, x, min_val=0, max_val=6)


def hardtanh(
    x: Float[ArrayLike, "*shape"], min_val: float = -1.0, max_val: float = 1.0
) -> Float[Array, "*shape"]:
    r"""The identity, cut off at both sides.

    $$ f(x) = \min(\max(x, a), b) $$

    Args:
        x: Any floating array, shape `(*shape)`.
        min_val: The lower bound $a$, in the unit of `x`.
        max_val: The upper bound $b \ge a$, in the unit of `x`.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        1 for a < x < b, 0 elsewhere. At the bounds PyTorch takes 0,
        `jax.nn.hard_tanh` 1 and `jnp.clip` 1/2; 1 at NaN.

    Raises:
        TypeError: If `x` is not floating.
        ValueError: If `min_val` exceeds `max_val`.

    Examples:
        >>> hardtanh(jnp.array([-2.0, 0.5, 2.0])).tolist()
        [-1.0, 0.5, 1.0]

    Torch: `torch.nn.functional.hardtanh`.
    """
    check_number("hardtanh", "min_val", min_val)
    check_number("hardtanh", "max_val", max_val)
    if min_val > max_val:
        raise ValueError(
            f"hardtanh: expected min_val <= max_val, got {min_val} and {max_val} "
            "instead."
        )
    return elementwise("hardtanh", _hardtanh, x, min_val=min_val, max_val=max_val)


def hardsigmoid(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""The sigmoid of three straight lines.

    $$ f(x) = \min(\max(x + 3, 0), 6) / 6 $$

    Args:
        x: Any floating array, shape `(*shape)`.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        1/6 for -3 < x < 3, 0 elsewhere, at both kinks and at NaN. In float64 too it is
        PyTorch's 1/6, rounded to float32: 0.16666667163.

    Raises:
        TypeError: If `x` is not floating.

    Examples:
        >>> hardsigmoid(jnp.array([-4.0, 0.0, 1.5])).tolist()
        [0.0, 0.5, 0.75]

    Torch: `torch.nn.functional.hardsigmoid`, which has no second derivative.
    """
    return elementwise("hardsigmoid", _hardsigmoid, x)


def hardswish(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""The SiLU of straight lines and one parabola.

    $$ f(x) = x \, \min(\max(x + 3, 0), 6) / 6 $$

    Args:
        x: Any floating array, shape `(*shape)`.

    Returns:
        Array of the shape and dtype of `x`; the limit 0 at -inf.

    Derivative:
        x/3 + 1/2 for -3 < x < 3, 0 for x <= -3, 1 for x >= 3 and at NaN.

    Raises:
        TypeError: If `x` is not floating.

    Examples:
        >>> hardswish(jnp.array([-4.0, 0.0, 3.0])).tolist()
        [0.0, 0.0, 3.0]

    Torch: `torch.nn.functional.hardswish`, which is NaN at -inf.
    """
    return elementwise("hardswish", _hardswish, x)


def leaky_relu(
    x: Float[ArrayLike, "*shape"], negative_slope: float | Array = 0.01
) -> Float[Array, "*shape"]:
    r"""Rectified linear unit that leaks below zero.

    $$ f(x) = x \text{ if } x > 0 \text{ else } a x $$

    Args:
        x: Any floating array, shape `(*shape)`.
        negative_slope: The slope $a$ for $x \le 0$, dimensionless.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        1 for x > 0, a for x <= 0 and at NaN. At x = 0 PyTorch takes a,
        `jax.nn.leaky_relu` takes 1.

    Raises:
        TypeError: If `x` is not floating.

    Examples:
        >>> import jax
        >>> jax.grad(leaky_relu)(0.0).item()
        0.0099999998

    Torch: `torch.nn.functional.leaky_relu`.
    """
    return elementwise("leaky_relu", _leaky_relu, x, negative_slope=negative_slope)


def prelu(
    x: Float[ArrayLike, "*shape"], weight: Float[ArrayLike, "*channels"]
) -> Float[Array, "*shape"]:
    r"""Leaky rectified linear unit with learned slopes, one per channel or one for all.

    $$ f(x) = x \text{ if } x > 0 \text{ else } w x $$

    Args:
        x: Any floating array; its channels are axis 1.
        weight: The slopes $w$, shape `()`, `(1,)` or `(channels,)`, of the dtype
            of `x`.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        With respect to x: 1 for x > 0, w for x <= 0 and at NaN. With respect to w:
        the sum of x over x <= 0. The mixed second derivative at x = 0 is 0.

    Raises:
        TypeError: If an argument is not floating, or their dtypes differ.
        ValueError: If `weight` has neither one entry nor one per channel.

    Examples:
        >>> prelu(jnp.array([[-4.0, -4.0]]), jnp.array([0.25, 0.5])).tolist()
        [[-1.0, -2.0]]

    Torch: `torch.nn.functional.prelu`.
    """
    x = check_floating("prelu", "x", x)
    weight = check_floating("prelu", "weight", weight)
    if weight.weak_type:  # a Python number adapts to x
        weight = weight.astype(x.dtype)
    if promoted(x, weight) != x.dtype or promoted(weight, x) != weight.dtype:
        raise TypeError(
            f"prelu: expected weight of the dtype {x.dtype} of x, "
            f"got {weight.dtype} instead."
        )
    slopes = _by_channel(x, weight)
    # Where x is 0, PyTorch's slope does not depend on the weight.
    slopes = jnp.where(x == 0, jax.lax.stop_gradient(slopes), slopes)
    return _leaky_relu(widened(x), widened(slopes)).astype(x.dtype)


def rrelu(
    x: Float[ArrayLike, "*shape"],
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    *,
    key: PRNGKey | None = None,
) -> Float[Array, "*shape"]:
    r"""Leaky rectified linear unit with random slopes.

    $$ f(x) = x \text{ if } x > 0 \text{ else } a x, \qquad a \sim U(l, u) $$

    Args:
        x: Any floating array, shape `(*shape)`.
        lower: The least slope $l$, dimensionless.
        upper: The largest slope $u \ge l$, dimensionless.
        key: The key of the random slopes, one per element; without it, as in
            PyTorch's evaluation mode, every slope is $(l + u) / 2$.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        1 for x > 0, a for x <= 0 and at NaN.

    Raises:
        TypeError: If `x` is not floating.
        ValueError: If `lower` or `upper` is not finite, or lower > upper.

    Examples:
        >>> rrelu(jnp.array([-6.0, 6.0])).round(5).tolist()
        [-1.375, 6.0]

    Torch: `torch.nn.functional.rrelu`; a key stands for `training=True`.
    """
    check_range("rrelu", "upper", upper, least=-_LARGEST, most=_LARGEST)
    check_range("rrelu", "lower", lower, least=-_LARGEST, most=upper)
    if key is None:
        return elementwise("rrelu", _leaky_relu, x, slope=(lower + upper) / 2)
    x = check_floating("rrelu", "x", x)
    slopes = jax.random.uniform(key, x.shape, widened(x).dtype, lower, upper)
    return elementwise("rrelu", _leaky_relu, x, slope=slopes)


def hardshrink(
    x: Float[ArrayLike, "*shape"], lambd: float = 0.5
) -> Float[Array, "*shape"]:
    r"""The identity, with a band around zero set to zero.

    $$ f(x) = 0 \text{ if } -\lambda \le x \le \lambda \text{ else } x $$

    Args:
        x: Any floating array, shape `(*shape)`.
        lambd: Half the width $\lambda$ of the band, in the unit of `x`; a negative
            one leaves `x` as it is.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        0 in the band and at its ends, 1 elsewhere and at NaN.

    Raises:
        TypeError: If `x` is not floating.

    Examples:
        >>> hardshrink(jnp.array([-1.0, 0.5, 0.75])).tolist()
        [-1.0, 0.0, 0.75]

    Torch: `torch.nn.functional.hardshrink`.
    """
    return elementwise("hardshrink", _hardshrink, x, lambd=lambd)


def softshrink(
    x: Float[ArrayLike, "*shape"], lambd: float = 0.5
) -> Float[Array, "*shape"]:
    r"""Move towards zero by $\lambda$, but not past it.

    $$ f(x) = \mathrm{sign}(x) \, \max(|x| - \lambda, 0) $$

    Args:
        x: Any floating array, shape `(*shape)`.
        lambd: The distance $\lambda \ge 0$, in the unit of `x`.

    Returns:
        Array of the shape and dtype of `x`.

    Derivative:
        0 for |x| <= lambd, 1 elsewhere and at NaN.

    Raises:
        TypeError: If `x` is not floating.
        ValueError: If `lambd` is negative, infinite or NaN.

    Examples:
        >>> softshrink(jnp.array([-1.0, 0.5, 0.75])).tolist()
        [-0.5, 0.0, 0.25]

    Torch: `torch.nn.functional.softshrink`.
    """
    check_range("softshrink", "lambd", lambd, least=0, most=_LARGEST)
    return elementwise("softshrink", _softshrink, x, lambd=lambd)


_LARGEST = sys.float_info.max
_SIXTH = float(np.float32(1 / 6))


def _threshold(x: Array, threshold: Array, value: Array) -> Array:
    return jnp.where(x <= threshold, value, x)


def _hardtanh(x: Array, least: Array, most: Array) -> Array:
    return jnp.where(x <= least, least, jnp.where(x >= most, most, x))


def _leaky_relu(x: Array, slope: Array) -> Array:
    # Not where(x > 0, x, slope * x): an infinite slope would make the gradient NaN.
    return jnp.where(x > 0, 1, slope) * x


def _hardshrink(x: Array, lambd: Array) -> Array:
    return jnp.where((x >= -lambd) & (x <= lambd), 0, x)


def _softshrink(x: Array, lambd: Array) -> Array:
    return jnp.where((x >= -lambd) & (x <= lambd), 0, x - jnp.sign(x) * lambd)


@with_slope(lambda x: jnp.where((x > -3) & (x < 3), jnp.full_like(x, _SIXTH), 0))
def _hardsigmoid(x: Array) -> Array:
    return jnp.clip(x + 3, 0, 6) / 6


def _hardswish(x: Array) -> Array:
    # The parabola is given no x outside of it: its slope there could be infinite.
    inside = jnp.where((x > -3) & (x < 3), x, 0)
    parabola = inside * (inside + 3) / 6
    return jnp.where(x <= -3, 0, jnp.where(x < 3, parabola, x))


def _by_channel(x: Array, weight: Array) -> Array:
    """`weight` in a shape that broadcasts against `x`."""
    if weight.ndim > 1:
        raise ValueError(
            "prelu: expected weight with at most 1 axis, "
            f"got shape {weight.shape} instead."
        )
    if weight.size == 1:
        return weight.reshape(())
    channels = x.shape[1] if x.ndim > 1 else 1
    check_shape("prelu", "weight", weight, (channels,), "one entry per channel of x")
    return weight.reshape(-1, *(1,) * (x.ndim - 2))
