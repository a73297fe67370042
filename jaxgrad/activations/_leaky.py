"""Rectifiers with a slope below zero: fixed, learned or random.

At x = 0 and at NaN, PyTorch's derivative is the slope below zero.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxgrad._checks import (
    check_floating,
    check_range,
    check_shape,
    wrong_type,
    wrong_value,
)
from jaxgrad._numerics import above, promoted, widened
from jaxgrad._types import Array, ArrayLike, Number, PRNGKey
from jaxgrad.activations._elementwise import LARGEST, elementwise


def leaky_relu(
    x: Float[ArrayLike, "*shape"], negative_slope: Number | Array = 0.01
) -> Float[Array, "*shape"]:
    r"""Rectified linear unit that leaks below zero.

    $$ f(x) = x \text{ if } x > 0 \text{ else } a x $$

    Args:
        x: Any floating array, shape `(*shape)`.
        negative_slope: The slope $a$ for $x \le 0$, dimensionless.

    Returns: Array of the shape and dtype of `x`.
    Derivative: 1 for x > 0, a for x <= 0 and at NaN. At x = 0 PyTorch takes a,
        `jax.nn.leaky_relu` takes 1.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.leaky_relu`.

    Examples:
        >>> import jax
        >>> jax.grad(leaky_relu)(0.0).item()
        0.0099999998
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

    Returns: Array of the shape and dtype of `x`.
    Derivative: With respect to x: 1 for x > 0, w for x <= 0 and at NaN. With respect to
        w: the sum of x over x <= 0. The mixed second derivative at x = 0 is 0.
    Raises: TypeError if an argument is not floating, or their dtypes differ; ValueError
        if `weight` has neither one entry nor one per channel.
    Torch: `torch.nn.functional.prelu`.

    Examples:
        >>> prelu(jnp.array([[-4.0, -4.0]]), jnp.array([0.25, 0.5])).tolist()
        [[-1.0, -2.0]]
    """
    x = check_floating("prelu", "x", x)
    weight = check_floating("prelu", "weight", weight)
    if weight.weak_type:  # a Python number takes the dtype of x
        weight = weight.astype(x.dtype)
    if promoted(x, weight) != x.dtype or promoted(weight, x) != weight.dtype:
        raise wrong_type("prelu", f"weight of the dtype {x.dtype} of x", weight.dtype)
    slopes = _by_channel(x, weight)
    # At x = 0, PyTorch's slope does not depend on the weight.
    slopes = jnp.where(x == 0, jax.lax.stop_gradient(slopes), slopes)
    return _leaky_relu(widened(x), widened(slopes)).astype(x.dtype)


def rrelu(
    x: Float[ArrayLike, "*shape"],
    lower: Number = 1 / 8,
    upper: Number = 1 / 3,
    *,
    key: PRNGKey | None = None,
) -> Float[Array, "*shape"]:
    r"""Leaky rectified linear unit with random slopes.

    $$ f(x) = x \text{ if } x > 0 \text{ else } a x, \qquad a \sim U(l, u) $$

    Args:
        x: Any floating array, shape `(*shape)`.
        lower: The smallest slope $l$, dimensionless.
        upper: The largest slope $u \ge l$, dimensionless.
        key: The PRNG key of the slopes, one per element. Without it, as in PyTorch's
            evaluation mode, every slope is $(l + u) / 2$.

    Returns: Array of the shape and dtype of `x`.
    Derivative: 1 for x > 0, a for x <= 0 and at NaN.
    Raises: TypeError if `x` is not floating; ValueError if `lower` or `upper` is not
        finite, or lower > upper.
    Torch: `torch.nn.functional.rrelu`; a key means `training=True`.

    Examples:
        >>> rrelu(jnp.array([-6.0, 6.0])).round(5).tolist()
        [-1.375, 6.0]
    """
    check_range("rrelu", "upper", upper, least=-LARGEST, most=LARGEST)
    check_range("rrelu", "lower", lower, least=-LARGEST, most=upper)
    if key is None:
        return elementwise("rrelu", _leaky_relu, x, slope=(lower + upper) / 2)
    x = check_floating("rrelu", "x", x)
    slopes = jax.random.uniform(key, x.shape, widened(x).dtype, lower, upper)
    return elementwise("rrelu", _leaky_relu, x, slope=slopes)


def _leaky_relu(x: Array, slope: Array) -> Array:
    # In where(x > 0, x, slope * x) an infinite slope would make the gradient NaN.
    return jnp.where(above(x, 0), 1, slope) * x


def _by_channel(x: Array, weight: Array) -> Array:
    """Reshape `weight` to broadcast against `x`."""
    if weight.ndim > 1:
        got = f"shape {weight.shape}"
        raise wrong_value("prelu", "weight with at most 1 axis", got)
    if weight.size == 1:
        return weight.reshape(())
    channels = x.shape[1] if x.ndim > 1 else 1
    check_shape("prelu", "weight", weight, (channels,), "one entry per channel of x")
    return weight.reshape(-1, *(1,) * (x.ndim - 2))
