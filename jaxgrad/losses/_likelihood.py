"""Negative log likelihoods and the Kullback-Leibler divergence."""

import math
from typing import Literal

import jax.numpy as jnp
from jax.scipy.special import xlogy
from jaxtyping import Bool, Float, Real

from jaxgrad._checks import (
    check_broadcast,
    check_choice,
    check_flag,
    check_floating,
    check_number,
    wrong_value,
)
from jaxgrad._types import Array, ArrayLike, Flag, Number, Reduction
from jaxgrad.losses._arguments import check_real, in_one_dtype, poison, unified
from jaxgrad.losses._kinks import clamp_unseen
from jaxgrad.losses._reduction import REDUCTIONS, reduce


def kl_div(
    input: Float[ArrayLike, "*input"],
    target: Float[ArrayLike, "*target"],
    reduction: Literal["none", "mean", "sum", "batchmean"] = "mean",
    log_target: Flag = False,
) -> Float[Array, "*reduced"]:
    r"""Pointwise Kullback-Leibler divergence of the target from the prediction.

    $$ \ell_i = y_i \, (\log y_i - x_i) $$

    Args:
        input: Log probabilities x, any floating array.
        target: Probabilities y, or their logarithms if `log_target`; of a shape that
            broadcasts against `input`.
        reduction: "none", "sum", "mean" (over all elements, which is *not* the
            divergence of distributions) or "batchmean" (over the first axis of
            `input`, which is that divergence).
        log_target: Whether `target` holds log probabilities.

    Returns: A scalar, or with "none" the broadcast shape; the promoted dtype.
    Derivative: At y = 0 the loss and its derivative with respect to `input` are 0; as
        in PyTorch, the derivative with respect to `target` is NaN.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.kl_div`. Optax's `kl_divergence` sums over the last
        axis.

    Examples:
        >>> p, q = jnp.array([[0.5, 0.5]]), jnp.array([[0.25, 0.75]])
        >>> kl_div(jnp.log(q), p, reduction="batchmean").round(5).item()
        0.14384
    """
    check_choice("kl_div", "reduction", reduction, (*REDUCTIONS, "batchmean"))
    check_flag("kl_div", "log_target", log_target)
    dtype, (log_q, y) = unified("kl_div", input=input, target=target)
    check_broadcast("kl_div", "target", y, "input", log_q.shape)
    losses = jnp.exp(y) * (y - log_q) if log_target else xlogy(y, y) - y * log_q
    if reduction == "batchmean":
        batch = log_q.shape[0] if log_q.ndim else 1
        return (jnp.sum(losses) / batch).astype(dtype)
    return reduce("kl_div", losses, reduction).astype(dtype)


def poisson_nll_loss(
    input: Float[ArrayLike, "*input"],
    target: Real[ArrayLike, "*target"] | Bool[ArrayLike, "*target"],
    log_input: Flag = True,
    full: Flag = False,
    eps: Number = 1e-8,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Negative log likelihood of counts under a Poisson distribution.

    $$ \ell_i = e^{x_i} - y_i x_i \quad \text{(log\_input)}, \qquad
       \ell_i = x_i - y_i \log(x_i + \epsilon) \quad \text{(otherwise)} $$

    Args:
        input: The expected count, or its logarithm if `log_input`; floating.
        target: Counts y, integers or floats, or booleans unless `full`; of a shape
            that broadcasts against `input`.
        log_input: Whether `input` is the logarithm of the expected count.
        full: Whether to add Stirling's approximation of log(y!) where y > 1.
        eps: Added to the expected count inside its logarithm.
        reduction: "none", "mean" or "sum".

    Returns: A scalar, or with "none" the broadcast shape; the promoted dtype.
    Derivative: Stirling's term contributes 0 for y <= 1; PyTorch's derivative with
        respect to `target` is NaN for y <= 0.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.poisson_nll_loss`.

    Examples:
        >>> poisson_nll_loss(jnp.array([0.0, 1.0]), jnp.array([1, 2])).round(5).item()
        0.85914
    """
    check_flag("poisson_nll_loss", "log_input", log_input)
    check_flag("poisson_nll_loss", "full", full)
    eps = check_number("poisson_nll_loss", "eps", eps)
    input = check_floating("poisson_nll_loss", "input", input)
    target = check_real("poisson_nll_loss", "target", target, or_bool=not full)
    check_broadcast("poisson_nll_loss", "target", target, "input", input.shape)
    dtype, (x, y) = in_one_dtype(input, target)
    losses = jnp.exp(x) - y * x if log_input else x - y * jnp.log(x + eps)
    if full:
        losses = losses + _log_factorial(y)
    return reduce("poisson_nll_loss", losses, reduction).astype(dtype)


def gaussian_nll_loss(
    input: Float[ArrayLike, "*input"],
    target: Real[ArrayLike, "*target"],
    var: Float[ArrayLike, "*var"],
    full: Flag = False,
    eps: Number = 1e-6,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Negative log likelihood of measurements under a normal distribution.

    $$ \ell_i = \tfrac{1}{2} \left( \log v_i + \frac{(x_i - y_i)^2}{v_i} \right),
       \qquad v_i = \max(\mathrm{var}_i, \epsilon) $$

    Args:
        input: Expected values, any floating array.
        target: Measurements, integers or floats, of a shape that broadcasts against
            `input`.
        var: Variances >= 0: a Python float, or an array of the shape of `input`, of
            that shape without its last axis, or with one axis of length 1.
        full: Whether to add the constant log(2 pi) / 2.
        eps: The smallest variance.
        reduction: "none", "mean" or "sum".

    Returns: A scalar, or with "none" the broadcast shape; the promoted dtype.
    Derivative: As in PyTorch, it ignores the clamp: where `var` < eps it is that of the
        formula at v = eps, not 0.
    Raises: TypeError for another dtype; ValueError if shapes do not fit,
        `reduction` is unknown, or a variance is negative. Inside `jax.jit`, where
        values are unknown, a negative variance makes the loss and its gradient NaN.
    Torch: `torch.nn.functional.gaussian_nll_loss`.

    Examples:
        >>> gaussian_nll_loss(jnp.array([1.0]), jnp.array([3.0]), 4.0).round(5).item()
        1.19315
    """
    eps = check_number("gaussian_nll_loss", "eps", eps)
    if isinstance(var, float):
        var = jnp.full(jnp.shape(input), var, jnp.result_type(input))
    dtype, (x, y, v) = in_one_dtype(
        check_floating("gaussian_nll_loss", "input", input),
        check_real("gaussian_nll_loss", "target", target),
        check_floating("gaussian_nll_loss", "var", var),
    )
    shape = check_broadcast("gaussian_nll_loss", "target", y, "input", x.shape)
    v = clamp_unseen(_variance(x.shape, v, var), eps)
    check_broadcast("gaussian_nll_loss", "var", v, "target", shape)
    losses = (jnp.log(v) + jnp.square(x - y) / v) / 2
    if full:
        losses = losses + math.log(2 * math.pi) / 2
    return reduce("gaussian_nll_loss", losses, reduction).astype(dtype)


def _log_factorial(count: Array) -> Array:
    """Stirling's approximation of log(count!); 0 for counts up to 1."""
    above = count > 1
    n = jnp.where(above, count, 1)  # log(0) would make the slope NaN
    return jnp.where(above, xlogy(n, n) - n + jnp.log(2 * math.pi * n) / 2, 0)


def _variance(shape: tuple[int, ...], var: Array, given: ArrayLike) -> Array:
    """Check `var`; return it in a shape that broadcasts against the input's `shape`."""
    if var.shape == shape[:-1] and shape:
        var = jnp.expand_dims(var, -1)
    different = [s for n, s in zip(shape, var.shape, strict=False) if n != s]
    if len(shape) != var.ndim or different not in ([], [1]):
        other = "that shape without its last axis or with one axis of length 1"
        what = f"var of shape {shape}, {other}"
        raise wrong_value("gaussian_nll_loss", what, f"shape {var.shape}")
    known = poison(
        "gaussian_nll_loss", "var", given, lambda v: ~(v < 0), ">= 0", var.dtype
    )
    return var * known.reshape(var.shape)
