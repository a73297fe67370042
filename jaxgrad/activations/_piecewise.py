"""Activations that are linear between kinks.

Most of PyTorch's choices at a kink follow from how the formula is written:
`where(x <= 0, 0, x)` has the derivative 0 at 0, and passes NaN on. The derivative *at*
NaN is that of PyTorch's scalar code; its vector code, for longer arrays, returns 0 or
NaN for some of these functions.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxgrad._checks import check_number, check_range, wrong_value
from jaxgrad._numerics import at_most
from jaxgrad._types import Array, ArrayLike, Number
from jaxgrad.activations._elementwise import LARGEST, elementwise, with_slope


def threshold(
    x: Float[ArrayLike, "*shape"], threshold: Number, value: Number
) -> Float[Array, "*shape"]:
    r"""Keep the entries above a threshold, replace the others.

    $$ f(x) = x \text{ if } x > t \text{ else } v $$

    Args:
        x: Any floating array, shape `(*shape)`.
        threshold: The threshold $t$, in the unit of `x`.
        value: The replacement $v$, in the unit of `x`.

    Returns: Array of the shape and dtype of `x`.
    Derivative: 1 for x > t, 0 for x <= t; 1 at NaN.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.threshold`.

    Examples:
        >>> threshold(jnp.array([-1.0, 0.5, 2.0]), 0.5, -7.0).tolist()
        [-7.0, -7.0, 2.0]
    """
    return elementwise("threshold", _threshold, x, threshold=threshold, value=value)


def relu(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""Rectified linear unit.

    $$ f(x) = \max(x, 0) $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`.
    Derivative: 1 for x > 0, 0 for x < 0 and, as in PyTorch, 0 at x = 0; 1 at NaN.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.relu`.

    Examples:
        >>> import jax
        >>> relu(jnp.array([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 2.0]
        >>> jax.grad(relu)(0.0).item()
        0.0
    """
    return elementwise("relu", _threshold, x, threshold=0, value=0)


def relu6(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""Rectified linear unit, capped at 6.

    $$ f(x) = \min(\max(x, 0), 6) $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`.
    Derivative: 1 for 0 < x < 6, 0 elsewhere and at both kinks; 1 at NaN.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.relu6`.

    Examples:
        >>> relu6(jnp.array([-1.0, 3.0, 8.0])).tolist()
        [0.0, 3.0, 6.0]
    """
    return elementwise("relu6", _hardtanh, x, min_val=0, max_val=6)


def hardtanh(
    x: Float[ArrayLike, "*shape"], min_val: Number = -1.0, max_val: Number = 1.0
) -> Float[Array, "*shape"]:
    r"""The identity, clipped on both sides.

    $$ f(x) = \min(\max(x, a), b) $$

    Args:
        x: Any floating array, shape `(*shape)`.
        min_val: The lower bound $a$, in the unit of `x`.
        max_val: The upper bound $b \ge a$, in the unit of `x`.

    Returns: Array of the shape and dtype of `x`.
    Derivative: 1 for a < x < b and at NaN, 0 elsewhere. At the bounds PyTorch takes 0,
        `jax.nn.hard_tanh` 1 and `jnp.clip` 1/2.
    Raises: TypeError if `x` is not floating; ValueError if `min_val` exceeds `max_val`.
    Torch: `torch.nn.functional.hardtanh`.

    Examples:
        >>> hardtanh(jnp.array([-2.0, 0.5, 2.0])).tolist()
        [-1.0, 0.5, 1.0]
    """
    check_number("hardtanh", "min_val", min_val)
    check_number("hardtanh", "max_val", max_val)
    if min_val > max_val:
        got = f"{min_val} and {max_val}"
        raise wrong_value("hardtanh", "min_val <= max_val", got)
    return elementwise("hardtanh", _hardtanh, x, min_val=min_val, max_val=max_val)


def hardsigmoid(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""A piecewise linear sigmoid.

    $$ f(x) = \min(\max(x + 3, 0), 6) / 6 $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`.
    Derivative: 1/6 for -3 < x < 3, 0 elsewhere, at both kinks and at NaN. As in
        PyTorch, the 1/6 is rounded to float32 even in float64: 0.16666667163.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.hardsigmoid`, which has no second derivative.

    Examples:
        >>> hardsigmoid(jnp.array([-4.0, 0.0, 1.5])).tolist()
        [0.0, 0.5, 0.75]
    """
    return elementwise("hardsigmoid", _hardsigmoid, x)


def hardswish(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""A SiLU made of two straight lines and a parabola.

    $$ f(x) = x \, \min(\max(x + 3, 0), 6) / 6 $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`; the limit 0 at -inf.
    Derivative: x/3 + 1/2 for -3 < x < 3, 0 for x <= -3, 1 for x >= 3 and at NaN.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.hardswish`, which is NaN at -inf.

    Examples:
        >>> hardswish(jnp.array([-4.0, 0.0, 3.0])).tolist()
        [0.0, 0.0, 3.0]
    """
    return elementwise("hardswish", _hardswish, x)


def hardshrink(
    x: Float[ArrayLike, "*shape"], lambd: Number = 0.5
) -> Float[Array, "*shape"]:
    r"""The identity, with a band around zero set to zero.

    $$ f(x) = 0 \text{ if } -\lambda \le x \le \lambda \text{ else } x $$

    Args:
        x: Any floating array, shape `(*shape)`.
        lambd: Half the width $\lambda$ of the band, in the unit of `x`; a negative
            value leaves `x` unchanged.

    Returns: Array of the shape and dtype of `x`.
    Derivative: 0 in the band and at its ends, 1 elsewhere and at NaN.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.hardshrink`.

    Examples:
        >>> hardshrink(jnp.array([-1.0, 0.5, 0.75])).tolist()
        [-1.0, 0.0, 0.75]
    """
    return elementwise("hardshrink", _hardshrink, x, lambd=lambd)


def softshrink(
    x: Float[ArrayLike, "*shape"], lambd: Number = 0.5
) -> Float[Array, "*shape"]:
    r"""Move towards zero by $\lambda$, but not past it.

    $$ f(x) = \mathrm{sign}(x) \, \max(|x| - \lambda, 0) $$

    Args:
        x: Any floating array, shape `(*shape)`.
        lambd: The distance $\lambda \ge 0$, in the unit of `x`.

    Returns: Array of the shape and dtype of `x`.
    Derivative: 0 for |x| <= lambd, 1 elsewhere and at NaN.
    Raises: TypeError if `x` is not floating; ValueError if `lambd` is negative,
        infinite or NaN.
    Torch: `torch.nn.functional.softshrink`.

    Examples:
        >>> softshrink(jnp.array([-1.0, 0.5, 0.75])).tolist()
        [-0.5, 0.0, 0.25]
    """
    check_range("softshrink", "lambd", lambd, least=0, most=LARGEST)
    return elementwise("softshrink", _softshrink, x, lambd=lambd)


_SIXTH = float(np.float32(1 / 6))


def _threshold(x: Array, threshold: Array, value: Array) -> Array:
    return jnp.where(at_most(x, threshold), value, x)


def _hardtanh(x: Array, least: Array, most: Array) -> Array:
    low, high = at_most(x, least), at_most(-x, -most)
    return jnp.where(low, least, jnp.where(high, most, x))


def _hardshrink(x: Array, lambd: Array) -> Array:
    return jnp.where(_in_band(x, lambd), 0, x)


def _softshrink(x: Array, lambd: Array) -> Array:
    return jnp.where(_in_band(x, lambd), 0, x - jnp.sign(x) * lambd)


def _in_band(x: Array, lambd: Array) -> Array:
    return at_most(x, lambd) & at_most(-x, lambd)


@with_slope(lambda x: jnp.where((x > -3) & (x < 3), jnp.full_like(x, _SIXTH), 0))
def _hardsigmoid(x: Array) -> Array:
    return jnp.clip(x + 3, 0, 6) / 6


def _hardswish(x: Array) -> Array:
    # Outside (-3, 3) the parabola gets x = 0, since its slope could be infinite.
    inside = jnp.where((x > -3) & (x < 3), x, 0)
    parabola = inside * (inside + 3) / 6
    return jnp.where(x <= -3, 0, jnp.where(x < 3, parabola, x))
