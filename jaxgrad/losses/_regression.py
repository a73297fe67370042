"""Losses of the distance between a prediction and a real-valued target."""

import warnings

import jax.numpy as jnp
from jaxtyping import Float

from jaxgrad._checks import check_floating, check_shape
from jaxgrad._dtypes import promoted, widened
from jaxgrad._types import Array, ArrayLike, Reduction
from jaxgrad.losses._reduction import check_reduction, reduce


def mse_loss(
    input: Float[ArrayLike, "*input"],
    target: Float[ArrayLike, "*target"],
    reduction: Reduction = "mean",
    weight: Float[ArrayLike, "*input"] | None = None,
) -> Float[Array, "*reduced"]:
    r"""Mean squared error.

    $$ \ell_i = w_i \, (x_i - y_i)^2, \qquad
       \text{mean} = \frac{\sum_i \ell_i}{\sum_i w_i} $$

    Args:
        input: Predictions, any floating array.
        target: What to predict, of the shape of `input`. Another shape is broadcast
            against it, with a UserWarning unless one of both is a scalar, for
            (batch,) against (batch, 1) silently means batch x batch differences.
        reduction: "none", "mean" (over all elements, whatever their axes) or "sum".
        weight: One weight per element of `input`, of its shape; by default all 1.

    Returns:
        A scalar, or with "none" the broadcast shape. The promoted dtype of the
        arguments. The mean of nothing is NaN.

    Raises:
        TypeError: If an argument is not floating.
        ValueError: If shapes do not fit, or `reduction` is unknown.

    Examples:
        >>> mse_loss(jnp.array([1.0, 4.0]), jnp.array([0.0, 2.0])).item()
        2.5

    Torch: `torch.nn.functional.mse_loss`. Optax's `l2_loss` is half of "none".
    """
    input, target, weight, dtype = _arguments("mse_loss", input, target, weight)
    check_reduction("mse_loss", reduction)
    losses = jnp.square(input - target)
    if weight is None:
        return reduce(losses, reduction).astype(dtype)
    return reduce(losses * weight, reduction, jnp.sum(weight)).astype(dtype)


def _arguments(
    function: str, input: ArrayLike, target: ArrayLike, weight: ArrayLike | None
) -> tuple[Array, Array, Array | None, jnp.dtype]:
    """Checked and widened arguments, and the dtype of the result."""
    input = check_floating(function, "input", input)
    target = check_floating(function, "target", target)
    _check_broadcast(function, input, target)
    if weight is None:
        dtype = promoted(input, target)
        return widened(input.astype(dtype)), widened(target.astype(dtype)), None, dtype
    weight = check_floating(function, "weight", weight)
    check_shape(function, "weight", weight, input.shape, "the shape of input")
    dtype = promoted(input, target, weight)
    input, target, weight = (
        widened(array.astype(dtype)) for array in (input, target, weight)
    )
    return input, target, weight, dtype


def _check_broadcast(function: str, input: Array, target: Array) -> None:
    """ValueError if the shapes do not broadcast, a warning if they have to."""
    try:
        jnp.broadcast_shapes(input.shape, target.shape)
    except ValueError:
        raise ValueError(
            f"{function}: expected target of a shape that broadcasts against the "
            f"shape {input.shape} of input, got shape {target.shape} instead."
        ) from None
    if input.shape != target.shape and input.ndim and target.ndim:
        warnings.warn(
            f"{function}: target of shape {target.shape} is broadcast against input "
            f"of shape {input.shape}; is that meant?",
            stacklevel=4,
        )
