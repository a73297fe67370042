"""Cross-entropy of a linear layer, in one call."""

import math
from typing import SupportsIndex

import jax.numpy as jnp
from jaxtyping import Float, Real

from jaxgrad._checks import (
    as_array,
    check_floating,
    check_int,
    check_shape,
    wrong_value,
)
from jaxgrad._types import Array, ArrayLike, Number, Reduction
from jaxgrad.losses._arguments import in_one_dtype
from jaxgrad.losses._classification import cross_entropy

_NAME = "linear_cross_entropy"


def linear_cross_entropy(
    input: Float[ArrayLike, "*batch features"],
    linear_weight: Float[ArrayLike, "classes *positions features"],
    target: Real[ArrayLike, "*target"],
    *,
    linear_bias: Float[ArrayLike, "classes *positions"] | None = None,
    weight: Float[ArrayLike, "classes"] | None = None,
    reduction: Reduction = "mean",
    ignore_index: SupportsIndex | None = None,
    label_smoothing: Number = 0.0,
) -> Float[Array, "*reduced"]:
    r"""Cross-entropy between a target and the softmax of a linear layer's outputs.

    $$ \ell = \mathrm{cross\_entropy}(x W^T + b, \; t) $$

    Args:
        input: Features x, shape `(batch, features)` or `(features,)`.
        linear_weight: W, shape `(classes, features)`, or with `input` in a batch
            `(classes, d1, ..., dK, features)`: K more axes of positions.
        target: Class indices, shape `(batch, d1, ..., dK)` (without a batch `()`), or
            probabilities with the axis of the classes after that of the batch.
        linear_bias: b, the shape of `linear_weight` without `features`, or None.
        weight: As in `cross_entropy`.
        reduction: As in `cross_entropy`.
        ignore_index: The label of samples to leave out, by default -100; only with
            class indices.
        label_smoothing: As in `cross_entropy`.

    Returns: A scalar, or with "none" the shape of class indices; the promoted dtype.
        16-bit inputs are multiplied in float32, and the result is rounded once.
    Raises: TypeError or ValueError as in `cross_entropy`; ValueError also for other
        shapes, or if `ignore_index` comes with probabilities.
    Torch: `torch.nn.functional.linear_cross_entropy` without its `options`, which save
        memory by computing in chunks.

    Examples:
        >>> x, w = jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 0.0], [0.0, 1.0]])
        >>> linear_cross_entropy(x, w, jnp.array([1])).round(5).item()
        0.31326
    """
    x = check_floating(_NAME, "input", input)
    w = check_floating(_NAME, "linear_weight", linear_weight)
    bias = _bias(x, w, linear_bias)
    dtype, (x, w, b) = in_one_dtype(x, w, bias)
    if ignore_index is not None:
        ignore_index = _for_indices(target, ignore_index)
    flat = x @ w.reshape(math.prod(w.shape[:-1]), w.shape[-1]).T
    logits = flat.reshape(*x.shape[:-1], *w.shape[:-1]) + b
    loss = cross_entropy(
        logits,
        target,
        weight,
        -100 if ignore_index is None else ignore_index,
        reduction,
        label_smoothing,
    )
    return loss.astype(jnp.promote_types(dtype, _probabilities(target) or dtype))


def _bias(x: Array, w: Array, bias: ArrayLike | None) -> Array:
    """Check the shapes; return the bias, by default 0."""
    if x.ndim not in (1, 2):
        shapes = "(batch, features) or (features,)"
        raise wrong_value(_NAME, f"input of shape {shapes}", f"shape {x.shape}")
    if w.ndim < 2 or (x.ndim == 1 and w.ndim > 2):
        what = "linear_weight of shape (classes, features)"
        more = ", or (classes, d1, ..., dK, features) with input in a batch"
        raise wrong_value(_NAME, what + more, f"shape {w.shape}")
    shape = (*w.shape[:-1], x.shape[-1])
    check_shape(_NAME, "linear_weight", w, shape, "the features of input")
    if bias is None:
        return jnp.zeros(w.shape[:-1], w.dtype)
    bias = check_floating(_NAME, "linear_bias", bias)
    check_shape(
        _NAME, "linear_bias", bias, w.shape[:-1], "linear_weight without features"
    )
    return bias


def _probabilities(target: ArrayLike) -> jnp.dtype | None:
    """The dtype of probabilities; None for class indices."""
    dtype = as_array(_NAME, "target", target).dtype
    return dtype if jnp.issubdtype(dtype, jnp.floating) else None


def _for_indices(target: ArrayLike, ignore_index: SupportsIndex) -> int:
    number = check_int(_NAME, "ignore_index", ignore_index)
    if _probabilities(target) is not None:
        raise wrong_value(_NAME, "no ignore_index with class probabilities", number)
    return number
