"""Losses of the distance between a prediction and a real-valued target.

Absolute errors have a kink at zero, where PyTorch takes the derivative 0 and
`jnp.abs` takes 1.
"""

import warnings

import jax.numpy as jnp
from jaxtyping import Bool, Float, Real

from jaxgrad._checks import (
    check_broadcast,
    check_floating,
    check_positive,
    check_range,
    check_shape,
)
from jaxgrad._types import Array, ArrayLike, Number, Reduction
from jaxgrad.losses._arguments import check_real, in_one_dtype
from jaxgrad.losses._kinks import absolute, huber
from jaxgrad.losses._reduction import reduce


def l1_loss(
    input: Float[ArrayLike, "*input"],
    target: Real[ArrayLike, "*target"],
    reduction: Reduction = "mean",
    weight: Real[ArrayLike, "*input"] | Bool[ArrayLike, "*input"] | None = None,
) -> Float[Array, "*reduced"]:
    r"""Mean absolute error.

    $$ \ell_i = w_i \, |x_i - y_i|, \qquad
       \text{mean} = \frac{\sum_i \ell_i}{\sum_i w_i} $$

    Args:
        input: Predictions x, any floating array.
        target: The true values y, integers or floats, of the shape of `input` or
            broadcast as in `mse_loss`.
        reduction: "none", "mean" (over all elements) or "sum".
        weight: One weight per element of `input`, of its shape; by default all 1.

    Returns: A scalar, or with "none" the broadcast shape. The promoted dtype of the
        arguments. The mean of no elements is NaN.
    Derivative: The sign of the error; 0 where the error is 0.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.l1_loss`.

    Examples:
        >>> l1_loss(jnp.array([1.0, 4.0]), jnp.array([0.0, 2.0])).item()
        1.5
    """
    input, target, weight, dtype = _arguments(
        "l1_loss", input, target, weight, or_bool=False
    )
    losses = absolute(input - target)
    return _weighted("l1_loss", losses, weight, reduction).astype(dtype)


def mse_loss(
    input: Float[ArrayLike, "*input"],
    target: Real[ArrayLike, "*target"] | Bool[ArrayLike, "*target"],
    reduction: Reduction = "mean",
    weight: Real[ArrayLike, "*input"] | Bool[ArrayLike, "*input"] | None = None,
) -> Float[Array, "*reduced"]:
    r"""Mean squared error.

    $$ \ell_i = w_i \, (x_i - y_i)^2, \qquad
       \text{mean} = \frac{\sum_i \ell_i}{\sum_i w_i} $$

    Args:
        input: Predictions, any floating array.
        target: The true values, integers or floats, or booleans without `weight`, of
            the shape of `input`. Another shape is broadcast against it, with a
            UserWarning unless one of them is a scalar: (batch,) against (batch, 1)
            would give batch x batch differences.
        reduction: "none", "mean" (over all elements) or "sum".
        weight: One weight per element of `input`, of its shape; by default all 1.

    Returns: A scalar, or with "none" the broadcast shape. The promoted dtype of the
        arguments. The mean of no elements is NaN.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.mse_loss`. Optax's `l2_loss` is half of "none".

    Examples:
        >>> mse_loss(jnp.array([1.0, 4.0]), jnp.array([0.0, 2.0])).item()
        2.5
    """
    input, target, weight, dtype = _arguments(
        "mse_loss", input, target, weight, or_bool=weight is None
    )
    losses = jnp.square(input - target)
    return _weighted("mse_loss", losses, weight, reduction).astype(dtype)


def smooth_l1_loss(
    input: Float[ArrayLike, "*input"],
    target: Real[ArrayLike, "*target"] | Bool[ArrayLike, "*target"],
    reduction: Reduction = "mean",
    beta: Number = 1.0,
) -> Float[Array, "*reduced"]:
    r"""Absolute error, quadratic near zero; its slope is at most 1.

    $$ \ell_i = \frac{e_i^2}{2 \beta} \text{ if } |e_i| < \beta, \qquad
       |e_i| - \frac{\beta}{2} \text{ otherwise}, \qquad e_i = x_i - y_i $$

    Args:
        input: Predictions x, any floating array.
        target: The true values y, of the shape of `input` or broadcast as in
            `mse_loss`.
        reduction: "none", "mean" or "sum".
        beta: The error >= 0 up to which the loss is quadratic; 0 gives `l1_loss`.

    Returns: A scalar, or with "none" the broadcast shape. The promoted dtype of the
        arguments. The mean of no elements is NaN.
    Raises: TypeError if an argument is not floating; ValueError if shapes do not fit,
        `reduction` is unknown, or `beta` < 0.
    Torch: `torch.nn.functional.smooth_l1_loss`. Equals `huber_loss` divided by `beta`.

    Examples:
        >>> smooth_l1_loss(jnp.array([0.5, 4.0]), jnp.array([0.0, 2.0])).item()
        0.8125
    """
    beta = check_range("smooth_l1_loss", "beta", beta, least=0)
    input, target, _, dtype = _arguments(
        "smooth_l1_loss", input, target, or_bool=bool(beta)
    )
    error = input - target
    losses = huber(error, beta) / beta if beta else absolute(error)
    return reduce("smooth_l1_loss", losses, reduction).astype(dtype)


def huber_loss(
    input: Float[ArrayLike, "*input"],
    target: Real[ArrayLike, "*target"] | Bool[ArrayLike, "*target"],
    reduction: Reduction = "mean",
    delta: Number = 1.0,
    weight: Real[ArrayLike, "*input"] | Bool[ArrayLike, "*input"] | None = None,
) -> Float[Array, "*reduced"]:
    r"""Squared error, linear beyond `delta`; its slope is at most `delta`.

    $$ \ell_i = \frac{e_i^2}{2} \text{ if } |e_i| \le \delta, \qquad
       \delta \left( |e_i| - \frac{\delta}{2} \right) \text{ otherwise}, \qquad
       e_i = x_i - y_i $$

    Args:
        input: Predictions x, any floating array.
        target: The true values y, of the shape of `input` or broadcast as in
            `mse_loss`.
        reduction: "none", "mean" (over all elements, not over weights) or "sum".
        delta: The error > 0 up to which the loss is quadratic.
        weight: One factor per element of `input`, of its shape; by default all 1.

    Returns: A scalar, or with "none" the broadcast shape. The promoted dtype of the
        arguments. The mean of no elements is NaN.
    Raises: TypeError if an argument is not floating; ValueError if shapes do not fit,
        `reduction` is unknown, or `delta` <= 0.
    Torch: `torch.nn.functional.huber_loss`; Optax's `huber_loss` with a reduction.

    Examples:
        >>> huber_loss(jnp.array([0.5, 4.0]), jnp.array([0.0, 2.0])).item()
        0.8125
    """
    input, target, weight, dtype = _arguments("huber_loss", input, target, weight)
    delta = check_positive("huber_loss", "delta", delta)
    losses = huber(input - target, delta)
    if weight is not None:
        losses = losses * weight
    return reduce("huber_loss", losses, reduction).astype(dtype)


def _arguments(
    function: str,
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    or_bool: bool = True,
) -> tuple[Array, Array, Array | None, jnp.dtype]:
    """Return the checked and widened arguments, and the result's dtype."""
    given = [] if weight is None else [weight]
    dtype, (input, target, *weights) = in_one_dtype(
        check_floating(function, "input", input),
        check_real(function, "target", target, or_bool),
        *(check_real(function, "weight", array, or_bool=True) for array in given),
    )
    check_broadcast(function, "target", target, "input", input.shape)
    for array in weights:
        check_shape(function, "weight", array, input.shape, "the shape of input")
    if input.shape != target.shape and input.ndim and target.ndim:
        warnings.warn(
            f"{function}: target of shape {target.shape} is broadcast against input "
            f"of shape {input.shape}; is that intended?",
            stacklevel=3,
        )
    return input, target, weights[0] if weights else None, dtype


def _weighted(
    function: str, losses: Array, weight: Array | None, reduction: Reduction
) -> Array:
    """Reduce the weighted losses; the mean divides by the sum of the weights."""
    if weight is None:
        return reduce(function, losses, reduction)
    return reduce(function, losses * weight, reduction, jnp.sum(weight))
