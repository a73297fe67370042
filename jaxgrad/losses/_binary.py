r"""Losses of independent binary decisions.

With a score x, the probability of a positive is $\sigma(x) = 1 / (1 + e^{-x})$ and the
loss its negative logarithm. It is computed from the score instead of the rounded
probability; only `binary_cross_entropy`, which takes probabilities, has to clamp.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Bool, Float, Real

from jaxgrad._checks import check_broadcast, check_floating, check_ndim, check_shape
from jaxgrad._types import Array, ArrayLike, Reduction
from jaxgrad.losses._arguments import (
    check_expands,
    check_real,
    in_one_dtype,
    poison,
    unified,
)
from jaxgrad.losses._reduction import reduce

_LEAST_LOG = -100.0
_EPS = 1e-12
_LEAST_VARIANCE = float(np.float32(_EPS))  # PyTorch's constant is a float32


def binary_cross_entropy(
    input: Float[ArrayLike, "*shape"],
    target: Float[ArrayLike, "*shape"],
    weight: Real[ArrayLike, "*weight"] | Bool[ArrayLike, "*weight"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Binary cross-entropy of probabilities.

    $$ \ell_i = -w_i \, \left( y_i \log p_i + (1 - y_i) \log (1 - p_i) \right) $$

    Args:
        input: Probabilities p in [0, 1], any floating array.
        target: Probabilities y in [0, 1], of the same shape.
        weight: Of any real or boolean dtype and a shape that broadcasts to that of
            `input`; by default all 1.
        reduction: "none", "mean" (over all elements, not over weights) or "sum".

    Returns: A scalar, or with "none" the shape of `input`; the promoted dtype of
        `input` and `target`. Logarithms below -100 count as -100.
    Derivative: With respect to `input`, (p - y) / max(p (1 - p), 1e-12), even at p = 0
        and 1, where the clamped loss is flat: +-1e12 for a wrong p. With respect to
        `target`, log(1 - p) - log p, not clamped. The second derivative with respect
        to `input` is PyTorch's, which does not differentiate that maximum but adds
        1e-12 to p and to 1 - p: 1e24 at p = 0 and y = 1, not 1e12.
    Raises: TypeError if an argument is not floating; ValueError if shapes do not fit,
        `reduction` is unknown, or an entry of `input` or `target` is outside [0, 1].
        Inside `jax.jit`, where values are unknown, such an entry makes the loss and its
        gradient NaN.
    Torch: `torch.nn.functional.binary_cross_entropy`.

    Examples:
        >>> binary_cross_entropy(jnp.array([0.5, 1.0]), jnp.array([1.0, 0.0])).item()
        50.347
        >>> jax.grad(binary_cross_entropy)(0.25, 1.0).item()
        -4.0
    """
    dtype, (p, y) = unified("binary_cross_entropy", input=input, target=target)
    check_shape("binary_cross_entropy", "target", y, p.shape, "the shape of input")
    losses = _clamped_entropy(p, y)
    for argument, value in {"input": input, "target": target}.items():
        losses = losses * poison(
            "binary_cross_entropy",
            argument,
            value,
            _is_probability,
            "in [0, 1]",
            p.dtype,
        )
    losses = losses * _weight("binary_cross_entropy", "weight", weight, losses)
    return reduce("binary_cross_entropy", losses, reduction).astype(dtype)


def binary_cross_entropy_with_logits(
    input: Float[ArrayLike, "*shape"],
    target: Float[ArrayLike, "*shape"],
    weight: Real[ArrayLike, "*weight"] | Bool[ArrayLike, "*weight"] | None = None,
    reduction: Reduction = "mean",
    pos_weight: Real[ArrayLike, "*positive"] | None = None,
) -> Float[Array, "*reduced"]:
    r"""Binary cross-entropy of scores, accurate for every score.

    $$ \ell_i = -w_i \, \left( q_i y_i \log \sigma(x_i)
       + (1 - y_i) \log \sigma(-x_i) \right) $$

    Args:
        input: Scores x, any floating array.
        target: Probabilities y, of the same shape.
        weight: Of any real or boolean dtype and a shape that broadcasts to that of
            `input`; by default all 1.
        reduction: "none", "mean" (over all elements, not over weights) or "sum".
        pos_weight: The weight q of positives, of a shape that broadcasts to that of
            `input`; by default 1.

    Returns: A scalar, or with "none" the shape of `input`; the promoted dtype of
        `input` and `target`.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.binary_cross_entropy_with_logits`. Optax's
        `sigmoid_binary_cross_entropy` is the unweighted "none".

    Examples:
        >>> scores = jnp.array([0.0, 1000.0])
        >>> binary_cross_entropy_with_logits(scores, jnp.array([1.0, 0.0])).item()
        500.347
    """
    name = "binary_cross_entropy_with_logits"
    dtype, (x, y) = unified(name, input=input, target=target)
    check_shape(name, "target", y, x.shape, "the shape of input")
    losses = optax.sigmoid_binary_cross_entropy(x, y)
    if pos_weight is not None:
        more = _weight(name, "pos_weight", pos_weight, losses, or_bool=False) - 1
        losses = losses - more * y * jax.nn.log_sigmoid(x)
    losses = losses * _weight(name, "weight", weight, losses)
    return reduce(name, losses, reduction).astype(dtype)


def soft_margin_loss(
    input: Float[ArrayLike, "*input"],
    target: Real[ArrayLike, "*target"],
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Logistic loss of labels -1 and 1.

    $$ \ell_i = \log(1 + e^{-y_i x_i}) $$

    Args:
        input: Scores x, any floating array.
        target: Labels y, -1 or 1, integers or floats, of a shape that broadcasts to
            that of `input`.
        reduction: "none", "mean" or "sum".

    Returns: A scalar, or with "none" the shape of `input`; the dtype of `input`.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.soft_margin_loss`, which overflows (loss infinite,
        gradient NaN) where -y x exceeds 709 in float64 or 88 in float32.

    Examples:
        >>> soft_margin_loss(jnp.array([0.0, 1000.0]), jnp.array([1, -1])).item()
        500.347
    """
    input = check_floating("soft_margin_loss", "input", input)
    target = check_real("soft_margin_loss", "target", target)
    check_expands("soft_margin_loss", "target", target, "input", input.shape)
    _, (x, y) = in_one_dtype(input, target)
    losses = jax.nn.softplus(-y * x)
    return reduce("soft_margin_loss", losses, reduction).astype(input.dtype)


def multilabel_soft_margin_loss(
    input: Float[ArrayLike, "*input"],
    target: Real[ArrayLike, "*target"],
    weight: Real[ArrayLike, "*weight"] | Bool[ArrayLike, "*weight"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Binary cross-entropy of scores, averaged over the classes of each sample.

    $$ \ell_n = -\frac{1}{C} \sum_c w_c \left( y_{nc} \log \sigma(x_{nc})
       + (1 - y_{nc}) \log \sigma(-x_{nc}) \right) $$

    Args:
        input: Scores x, shape `(*batch, classes)`.
        target: 0 or 1 (or a probability) for each class, integers or floats, of a
            shape that broadcasts against `input`.
        weight: Of a shape that broadcasts against `input`; by default all 1.
        reduction: "none", "mean" (over the samples) or "sum".

    Returns: A scalar, or with "none" the shape `(*batch)`; the promoted dtype.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.multilabel_soft_margin_loss`.

    Examples:
        >>> multilabel_soft_margin_loss(jnp.zeros(3), jnp.array([1, 0, 1])).item()
        0.69315
    """
    name = "multilabel_soft_margin_loss"
    input = check_floating(name, "input", input)
    check_ndim(name, "input", input, least=1)
    target = check_real(name, "target", target)
    weight = jnp.ones((), input.dtype) if weight is None else weight
    weight = check_real(name, "weight", weight, or_bool=True)
    shape = check_broadcast(name, "target", target, "input", input.shape)
    check_broadcast(name, "weight", weight, "input", shape)
    dtype, (x, y, w) = in_one_dtype(input, target, weight)
    axis = input.ndim - 1
    losses = jnp.sum(optax.sigmoid_binary_cross_entropy(x, y) * w, axis)
    return reduce(name, losses / input.shape[axis], reduction).astype(dtype)


def _weight(
    function: str,
    argument: str,
    value: ArrayLike | None,
    losses: Array,
    or_bool: bool = True,
) -> Array:
    """`value`, checked, in the dtype of `losses`; 1 for None."""
    if value is None:
        return jnp.ones((), losses.dtype)
    weight = check_real(function, argument, value, or_bool)
    check_expands(function, argument, weight, "input", losses.shape)
    return weight.astype(losses.dtype)


def _is_probability(x: Any) -> Any:
    return (x >= 0) & (x <= 1)


@jax.custom_jvp
def _slope(p: Array, y: Array) -> Array:
    """PyTorch's derivative of the clamped entropy in p."""
    return (p - y) / jnp.maximum((1 - p) * p, _LEAST_VARIANCE)


# PyTorch's derivatives of its derivative, which clamp in another way.
_slope.defjvps(
    lambda tangent, slope, p, y: tangent * _curvature(p, y),
    lambda tangent, slope, p, y: -tangent / jnp.maximum((1 - p) * p, _EPS),
)


def _curvature(p: Array, y: Array) -> Array:
    # The absolute value keeps XLA from adding 1e-12 to 1, where it loses digits.
    below_one = jnp.abs(1 - p) + _EPS
    return (p * p - 2 * p * y + y) / ((p + _EPS) ** 2 * below_one**2)


@jax.custom_jvp
def _clamped_entropy(p: Array, y: Array) -> Array:
    log_no = jnp.maximum(jnp.log1p(-p), _LEAST_LOG)
    log_yes = jnp.maximum(jnp.log(p), _LEAST_LOG)
    return (y - 1) * log_no - y * log_yes


# The slope in y can be infinite; symbolic zeros keep it out of inf * 0.
@functools.partial(_clamped_entropy.defjvp, symbolic_zeros=True)
def _clamped_entropy_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (p, y), (p_tangent, y_tangent) = primals, tangents
    tangent = jnp.zeros_like(p)
    if not isinstance(p_tangent, SymbolicZero):
        tangent += _slope(p, y) * p_tangent
    if not isinstance(y_tangent, SymbolicZero):
        tangent += (jnp.log1p(-p) - jnp.log(p)) * y_tangent
    return _clamped_entropy(p, y), tangent
