r"""Activations that combine an exponential and a straight line.

The exponential cannot overflow. The derivative is its closed form $e^x$, because
$(e^x - 1) + 1$ has lost its digits by x = -20. At NaN the derivative is that of
PyTorch's scalar code; PyTorch's vector code of the ELUs returns NaN.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float

from jaxgrad._checks import wrong_value
from jaxgrad._numerics import at_most
from jaxgrad._types import Array, ArrayLike, Number
from jaxgrad.activations._elementwise import elementwise, with_slope

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def elu(
    x: Float[ArrayLike, "*shape"], alpha: Number | Array = 1.0
) -> Float[Array, "*shape"]:
    r"""Exponential linear unit.

    $$ f(x) = x \text{ if } x > 0 \text{ else } \alpha (e^x - 1) $$

    Args:
        x: Any floating array, shape `(*shape)`.
        alpha: The depth $\alpha$ to which it saturates, in the unit of `x`.

    Returns: Array of the shape and dtype of `x`.
    Derivative: 1 for x > 0 and at NaN, alpha e^x for x <= 0: alpha at x = 0. The second
        derivative at x = 0 is 0.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.elu`.

    Examples:
        >>> elu(jnp.array([-100.0, 2.0]), alpha=0.5).tolist()
        [-0.5, 2.0]
    """
    return elementwise("elu", _elu, x, alpha=alpha)


def celu(
    x: Float[ArrayLike, "*shape"], alpha: Number | Array = 1.0
) -> Float[Array, "*shape"]:
    r"""ELU with a continuous slope for every alpha.

    $$ f(x) = x \text{ if } x > 0 \text{ else } \alpha (e^{x / \alpha} - 1) $$

    Args:
        x: Any floating array, shape `(*shape)`.
        alpha: The depth and the width $\alpha \ne 0$, in the unit of `x`.

    Returns: Array of the shape and dtype of `x`.
    Derivative: 1 for x > 0 and at NaN, e^(x / alpha) for x <= 0. The second derivative
        at x = 0 is 0. As in PyTorch, the derivative divides by alpha rounded to
        float32, even in float64.
    Raises: TypeError if `x` is not floating; ValueError if `alpha` is 0.
    Torch: `torch.nn.functional.celu`.

    Examples:
        >>> celu(jnp.array([-1000.0, 2.0]), alpha=0.5).tolist()
        [-0.5, 2.0]
    """
    if alpha == 0:
        raise wrong_value("celu", "alpha to be nonzero", alpha)
    return elementwise("celu", _celu, x, alpha=alpha)


def selu(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""Scaled ELU, which keeps mean 0 and variance 1 over many layers.

    $$ f(x) = \lambda \, \mathrm{elu}(x, \alpha), \qquad
       \lambda = 1.0507, \; \alpha = 1.6733 $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`.
    Derivative: 1.0507 for x > 0 and at NaN, 1.7581 e^x for x <= 0. The second
        derivative at x = 0 is 0.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.selu`.
    References: Klambauer et al., 2017.

    Examples:
        >>> selu(jnp.array([-100.0, 1.0])).round(5).tolist()
        [-1.7581, 1.0507]
    """
    return elementwise("selu", lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA), x)


def softplus(
    x: Float[ArrayLike, "*shape"], beta: Number = 1.0, threshold: Number = 20.0
) -> Float[Array, "*shape"]:
    r"""A smooth ReLU.

    $$ f(x) = \log(1 + e^{\beta x}) / \beta
       \text{ if } \beta x \le t \text{ else } x $$

    Args:
        x: Any floating array, shape `(*shape)`.
        beta: The sharpness $\beta$ of the bend, in 1 / unit of `x`.
        threshold: The $t$ above which it is linear, dimensionless.

    Returns: Array of the shape and dtype of `x`.
    Derivative: sigmoid(beta x), and 1 where the function is linear. The second
        derivative at beta x = t is 0.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.softplus`, which is infinite if a larger threshold lets
        e^(beta x) overflow. `jax.nn.softplus` is never linear.

    Examples:
        >>> softplus(jnp.array([-1000.0, 0.0, 1000.0])).round(5).tolist()
        [0.0, 0.69315, 1000.0]
    """
    return elementwise("softplus", _softplus, x, beta=beta, threshold=threshold)


def logsigmoid(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""The logarithm of the sigmoid, finite where the sigmoid underflows.

    $$ f(x) = -\log(1 + e^{-x}) $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`; all entries <= 0.
    Derivative: sigmoid(-x).
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.logsigmoid`.

    Examples:
        >>> logsigmoid(jnp.array([-1000.0, 0.0])).round(5).tolist()
        [-1000.0, -0.69315]
    """
    return elementwise("logsigmoid", lambda x: -_log1p_exp(-x), x)


def _elu(
    x: Array, depth: ArrayLike, width: ArrayLike = 1, seen: ArrayLike = 1
) -> Array:
    """ELU with a bend of `width`; the derivative uses `seen` instead of `width`."""
    # The bend could overflow for x > 0, so it gets 0 there.
    below = jnp.where(x < 0, x, 0)
    bend = depth * _expm1(below / width, below / seen)
    # At 0 PyTorch takes the slope of the bend, but a second derivative of 0.
    line = x * jnp.where(at_most(x, 0), depth / seen, 1)
    return jnp.where(x < 0, bend, line)


def _celu(x: Array, alpha: Array) -> Array:
    # PyTorch's derivative divides by alpha rounded to float32, even in float64.
    seen = jax.lax.reduce_precision(alpha, exponent_bits=8, mantissa_bits=23)
    return _elu(x, alpha, alpha, seen)


@jax.custom_jvp
def _softplus(x: Array, beta: Array, threshold: Array) -> Array:
    return jnp.where(beta * x > threshold, x, _log1p_exp(beta * x) / beta)


# At beta = 0 the slope in beta is NaN; symbolic zeros keep it out of NaN * 0.
@partial(_softplus.defjvp, symbolic_zeros=True)
def _softplus_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, beta, threshold = primals
    y, z = _softplus(x, beta, threshold), beta * x
    # At the threshold PyTorch takes the slope of the bend, but 0 as second derivative.
    bend = jax.lax.logistic(jnp.where(z == threshold, jax.lax.stop_gradient(z), z))
    tangent = jnp.zeros_like(x)
    if not isinstance(tangents[0], SymbolicZero):
        tangent += jnp.where(z > threshold, 1, bend) * tangents[0]
    if not isinstance(tangents[1], SymbolicZero):
        tangent += jnp.where(z > threshold, 0, (x * bend - y) / beta) * tangents[1]
    return y, tangent


@jax.custom_jvp
def _expm1(z: Array, seen: Array) -> Array:
    """e^z - 1, with the derivative of e^seen."""
    return jnp.expm1(z)


_expm1.defjvps(None, lambda tangent, y, z, seen: jnp.exp(seen) * tangent)


@with_slope(jax.lax.logistic)
def _log1p_exp(x: Array) -> Array:
    return jnp.maximum(x, 0) + _log1p(jnp.exp(-jnp.abs(x)))


def _log1p(z: Array) -> Array:
    """log(1 + z) for z in [0, 1], in a third of the time of `jnp.log1p`."""
    # 2 artanh(w) = 2 (w + w^3 / 3 + ...), until the terms are below rounding error.
    w = z / (2 + z)
    series = jnp.zeros_like(z)
    for power in range(33 if z.dtype == jnp.float64 else 15, 0, -2):
        series = series * (w * w) + 1 / power
    return 2 * w * series
