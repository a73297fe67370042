r"""Activations that saturate, and products of x with a saturating gate.

At -inf, $x \, g(x)$ has the limit 0 if the gate falls to 0 exponentially, but in
floating point it is inf * 0 = NaN. `bounded` gives the limit.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxgrad._types import Array, ArrayLike
from jaxgrad.activations._elementwise import (
    bounded,
    bounded_below,
    elementwise,
    with_slope,
)

# Above this the gate of mish rounds to 1 in float64; e^2x does not overflow in float32.
_MISH_IS_LINEAR = 40


def sigmoid(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""The logistic function.

    $$ \sigma(x) = 1 / (1 + e^{-x}) $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`, in [0, 1].
    Derivative: sigma (1 - sigma).
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.sigmoid`.

    Examples:
        >>> sigmoid(jnp.array([-1000.0, 0.0, 1000.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    return elementwise("sigmoid", jax.lax.logistic, x)


def tanh(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""Hyperbolic tangent.

    $$ f(x) = (e^x - e^{-x}) / (e^x + e^{-x}) $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`, in [-1, 1].
    Derivative: 1 - tanh(x)^2.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.tanh`.

    Examples:
        >>> tanh(jnp.array([-1000.0, 0.0, 1000.0])).tolist()
        [-1.0, 0.0, 1.0]
    """
    return elementwise("tanh", jnp.tanh, x)


def tanhshrink(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""X minus its hyperbolic tangent.

    $$ f(x) = x - \tanh x $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`.
    Derivative: tanh(x)^2.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.tanhshrink`.

    Examples:
        >>> tanhshrink(jnp.array([-1000.0, 0.0, 1.0])).round(5).tolist()
        [-999.0, 0.0, 0.23841]
    """
    return elementwise("tanhshrink", _tanhshrink, x)


def softsign(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""A sigmoid that saturates slowly, without an exponential.

    $$ f(x) = x / (1 + |x|) $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`, in [-1, 1]; the limits -1 and 1 at
        -inf and inf.
    Derivative: 1 / (1 + |x|)^2. The second derivative at x = 0 is 0.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.softsign`, which is NaN at -inf and inf.

    Examples:
        >>> softsign(jnp.array([-1.0, 0.0, 3.0])).tolist()
        [-0.5, 0.0, 0.75]
    """
    return elementwise("softsign", _softsign, x)


def silu(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""Sigmoid linear unit, also called swish.

    $$ f(x) = x \, \sigma(x) $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`; the limit 0 at -inf.
    Derivative: sigma (1 + x (1 - sigma)); the limits 0 and 1 at -inf and inf.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.silu`, which is NaN at -inf.

    Examples:
        >>> silu(jnp.array([-1000.0, 0.0, 1000.0])).tolist()
        [0.0, 0.0, 1000.0]
    """
    return elementwise("silu", _silu, x)


def mish(x: Float[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    r"""A smooth unit gated by its own softplus.

    $$ f(x) = x \tanh \log(1 + e^x) $$

    Args: `x`, any floating array, shape `(*shape)`.
    Returns: Array of the shape and dtype of `x`; the limit 0 at -inf.
    Derivative: That of the formula; the limits 0 and 1 at -inf and inf.
    Raises: TypeError if `x` is not floating.
    Torch: `torch.nn.functional.mish`, which is NaN at -inf.
    References: Misra, 2019.

    Examples:
        >>> mish(jnp.array([-1000.0, 0.0, 1000.0])).tolist()
        [0.0, 0.0, 1000.0]
    """
    return elementwise("mish", _mish, x)


@with_slope(lambda x: jnp.square(jnp.tanh(x)))
def _tanhshrink(x: Array) -> Array:
    return x - jnp.tanh(x)


# |x| as x sign(x), whose derivative at 0 is PyTorch's: 0.
@with_slope(lambda x: jnp.square(1 / (1 + x * jnp.sign(x))))
def _softsign(x: Array) -> Array:
    largest = jnp.finfo(x.dtype).max
    finite = jnp.clip(x, -largest, largest)
    return finite / (1 + jnp.abs(finite))


def _silu_slope(x: Array) -> Array:
    gate = jax.lax.logistic(x)
    return gate * (1 + bounded(x) * (1 - gate))


@with_slope(_silu_slope)
def _silu(x: Array) -> Array:
    return bounded_below(x) * jax.lax.logistic(x)


def _mish_slope(x: Array) -> Array:
    e, scale = _mish_gate(x)
    return e * (e + 2) * scale + 4 * bounded(x) * (e * scale) * ((e + 1) * scale)


@with_slope(_mish_slope)
def _mish(x: Array) -> Array:
    e, scale = _mish_gate(x)
    return bounded_below(x) * (e * (e + 2) * scale)


def _mish_gate(x: Array) -> tuple[Array, Array]:
    """e^x and s with tanh(log(1 + e^x)) = e^x (e^x + 2) s, without a logarithm."""
    e = jnp.exp(jnp.minimum(x, _MISH_IS_LINEAR))
    return e, 1 / (e * (e + 2) + 2)
