r"""Activations that multiply by a gate.

GLU takes the gate from the other half of its input, GELU from the normal distribution
of x. GELU's derivative $\Phi(x) + x \phi(x)$ is written out, so that value and
derivative share one error function.
"""

import math
from typing import Literal, SupportsIndex

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxgrad._checks import check_axis, check_choice, check_floating, wrong_value
from jaxgrad._types import Array, ArrayLike
from jaxgrad.activations._elementwise import (
    bounded,
    bounded_below,
    elementwise,
    with_slope,
)


def glu(
    x: Float[ArrayLike, "*shape"], axis: SupportsIndex = -1
) -> Float[Array, "*halved"]:
    r"""Gated linear unit: the first half of an axis times the sigmoid of the second.

    $$ f(a, b) = a \, \sigma(b) $$

    Args:
        x: Any floating array whose `axis` has an even length.
        axis: The axis that is halved.

    Returns: Array of the dtype of `x`, and of its shape except for the halved axis.
    Derivative: sigma(b) with respect to a, a sigma(b) (1 - sigma(b)) with respect to b.
    Raises: TypeError if `x` is not floating; ValueError if `axis` is not an axis of `x`
        or has odd length, or `x` is 0-d.
    Torch: `torch.nn.functional.glu`.

    Examples:
        >>> glu(jnp.array([3.0, 5.0, 0.0, 1000.0])).tolist()
        [1.5, 5.0]
    """
    x = check_floating("glu", "x", x)
    axis = check_axis("glu", axis, x.ndim)
    if x.ndim == 0 or x.shape[axis] % 2:
        what = f"x with an even length of axis {axis}"
        raise wrong_value("glu", what, f"shape {x.shape}")
    return elementwise("glu", lambda x: _glu(*jnp.split(x, 2, axis)), x)


def gelu(
    x: Float[ArrayLike, "*shape"], approximate: Literal["none", "tanh"] = "none"
) -> Float[Array, "*shape"]:
    r"""Gaussian error linear unit: x times the normal distribution function.

    $$ f(x) = x \, \Phi(x), \qquad
       \Phi(x) = \tfrac12 (1 + \mathrm{erf}(x / \sqrt 2)) $$

    Args:
        x: Any floating array, shape `(*shape)`.
        approximate: "none", or "tanh" for
            $\Phi(x) \approx \tfrac12 (1 + \tanh(\sqrt{2/\pi} (x + 0.044715 x^3)))$.

    Returns: Array of the shape and dtype of `x`; the limit 0 at -inf.
    Derivative: Phi(x) + x phi(x); the limits 0 and 1 at -inf and inf. For large x
        (float16 at 1e4, float32 at 1e30) it is 0 or 1, where the gradient of
        `jax.nn.gelu`, in its default tanh form, is NaN.
    Raises: TypeError if `x` is not floating; ValueError if `approximate` is neither
        "none" nor "tanh".
    Torch: `torch.nn.functional.gelu`, which is NaN at -inf.
    References: Hendrycks and Gimpel, 2016.

    Examples:
        >>> gelu(jnp.array([-1000.0, 1.0])).round(5).tolist()
        [0.0, 0.84134]
        >>> gelu(jnp.array([-1000.0, 1.0]), approximate="tanh").round(5).tolist()
        [0.0, 0.84119]
    """
    check_choice("gelu", "approximate", approximate, ("none", "tanh"))
    return elementwise("gelu", _gelu if approximate == "none" else _gelu_tanh, x)


def _glu(a: Array, b: Array) -> Array:
    return a * jax.lax.logistic(b)


def _normal_cdf(x: Array) -> Array:
    z = x * math.sqrt(0.5)
    # Where erf rounds to +-1: XLA's float32 erf stays below 1 in jax 0.9.
    certain = jnp.abs(z) >= (6 if x.dtype == jnp.float64 else 4)
    return 0.5 * (1 + jnp.where(certain, jnp.sign(z), jax.lax.erf(z)))


def _gelu_slope(x: Array) -> Array:
    z = bounded(x)
    density = jnp.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    # `_normal_cdf(x)`, as in `_gelu`, so that erf is computed once.
    return _normal_cdf(x) + z * density


@with_slope(_gelu_slope)
def _gelu(x: Array) -> Array:
    return bounded_below(x) * _normal_cdf(x)


# The gate (1 + tanh z) / 2 is sigmoid(2 z), which keeps its digits as it falls to 0.
def _gelu_tanh_gate(x: Array) -> tuple[Array, Array]:
    """sigmoid(2 z) and the slope of 2 z."""
    x = bounded(x)
    scale, cubic = 2 * math.sqrt(2 / math.pi), 0.044715 * x * x
    return jax.lax.logistic(scale * x * (1 + cubic)), scale * (1 + 3 * cubic)


def _gelu_tanh_slope(x: Array) -> Array:
    gate, slope = _gelu_tanh_gate(x)
    return gate * (1 + bounded(x) * (1 - gate) * slope)


@with_slope(_gelu_tanh_slope)
def _gelu_tanh(x: Array) -> Array:
    return bounded_below(x) * _gelu_tanh_gate(x)[0]
