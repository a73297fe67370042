"""Losses of real-valued predictions."""

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

    $$ \ell_i = w_i \, (x_i - y_i)^2 $$

    Args:
        input: Predictions, any floating array.
        target: Values to predict, of the shape of `input` or one that broadcasts
            against it.
        reduction: "none", "mean" (over all elements; with `weight`, the sum over
            the sum of the weights) or "sum".
        weight: One weight per element of `input`.

    Returns:
        A scalar, or with "none" the broadcast shape.

    Raises:
        TypeError: If an argument is not floating.
        ValueError: If the shapes do not broadcast, `weight` has not the shape of
            `input`, or `reduction` is unknown.

    Examples:
        >>> mse_loss(jnp.array([1.0, 4.0]), jnp.array([0.0, 2.0])).item()
        2.5

    Torch: `torch.nn.functional.mse_loss`.
    """
    input = check_floating("mse_loss", "input", input)
    target = check_floating("mse_loss", "target", target)
    check_reduction("mse_loss", reduction)
    if input.shape != target.shape:
        warnings.warn("mse_loss: shapes differ", stacklevel=2)
    dtype = promoted(input, target)
    input, target = widened(input.astype(dtype)), widened(target.astype(dtype))
    losses = jnp.square(input - target)
    if weight is None:
        return reduce(losses, reduction).astype(dtype)
    weight = check_floating("mse_loss", "weight", weight).astype(losses.dtype)
    check_shape("mse_loss", "weight", weight, input.shape, "the shape of input")
    losses = losses * weight
    if reduction == "mean":
        return (jnp.sum(losses) / jnp.sum(weight)).astype(dtype)
    return reduce(losses, reduction).astype(dtype)
