"""Losses of a choice among classes."""

from typing import NamedTuple

import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Integer, Num

from jaxgrad._checks import check_floating, check_integer, check_range, check_shape
from jaxgrad._dtypes import widened
from jaxgrad._types import Array, ArrayLike, Reduction
from jaxgrad.activations import log_softmax
from jaxgrad.losses._reduction import check_reduction, reduce, weighted_mean


def nll_loss(
    log_probs: Float[ArrayLike, "*logits"],
    target: Integer[ArrayLike, "*labels"],
    weight: Float[ArrayLike, "classes"] | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Negative log likelihood of the target class."""
    log_probs = check_floating("nll_loss", "log_probs", log_probs)
    check_reduction("nll_loss", reduction)
    dtype, log_probs = log_probs.dtype, widened(log_probs)
    weight = _class_weight("nll_loss", weight, log_probs)
    labels = _labels("nll_loss", target, log_probs, weight, ignore_index)
    return _reduced(_nll(log_probs, labels), labels, reduction).astype(dtype)


def cross_entropy(
    logits: Float[ArrayLike, "*logits"],
    target: Num[ArrayLike, "*target"],
    weight: Float[ArrayLike, "classes"] | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Float[Array, "*reduced"]:
    r"""Cross-entropy between the softmax of `logits` and the target."""
    logits = check_floating("cross_entropy", "logits", logits)
    check_reduction("cross_entropy", reduction)
    check_range("cross_entropy", "label_smoothing", label_smoothing, 0.0, 1.0)
    dtype, logits = logits.dtype, widened(logits)
    weight = _class_weight("cross_entropy", weight, logits)
    log_probs = log_softmax(logits, _class_axis(logits))
    target = jnp.asarray(target)
    if jnp.issubdtype(target.dtype, jnp.floating):
        check_shape("cross_entropy", "target", target, logits.shape)
        loss = _soft(log_probs, target, weight, reduction, label_smoothing)
        return loss.astype(dtype)
    labels = _labels("cross_entropy", target, log_probs, weight, ignore_index)
    losses = _nll(log_probs, labels)
    if label_smoothing > 0:
        axis = _class_axis(logits)
        uniform = -jnp.sum(log_probs * _spread(weight, log_probs), axis)
        uniform = jnp.where(labels.kept, uniform, 0)
        share = label_smoothing / logits.shape[axis]
        losses = (1 - label_smoothing) * losses + share * uniform
    return _reduced(losses, labels, reduction).astype(dtype)


class _Labels(NamedTuple):
    onehot: Array  # (N, C, d1, ...), bool
    kept: Array  # (N, d1, ...), bool: not ignored
    weight: Array  # (N, d1, ...): of the target class; 0 if ignored; NaN if invalid


def _labels(
    function: str,
    target: ArrayLike,
    log_probs: Array,
    weight: Array,
    ignore_index: int,
) -> _Labels:
    target = check_integer(function, "target", target)
    axis = _class_axis(log_probs)
    classes = log_probs.shape[axis]
    shape = log_probs.shape[:axis] + log_probs.shape[axis + 1 :]
    check_shape(function, "target", target, shape)
    _check_values(function, target, classes, ignore_index)
    if target.dtype.itemsize < 4:
        target = target.astype(jnp.int32)
    kept = target != ignore_index
    valid = (target >= 0) & (target < classes)
    index = jnp.clip(target, 0, max(classes - 1, 0))
    numbers = jnp.arange(classes, dtype=target.dtype)
    onehot = jnp.expand_dims(index, axis) == _along(numbers, axis, log_probs.ndim)
    own = jnp.where(valid, weight[index], jnp.nan)
    return _Labels(onehot, kept, jnp.where(kept, own, 0))


def _nll(log_probs: Array, labels: _Labels) -> Array:
    picked = -jnp.sum(jnp.where(labels.onehot, log_probs, 0), _class_axis(log_probs))
    return jnp.where(labels.kept, labels.weight * picked, 0)


def _reduced(losses: Array, labels: _Labels, reduction: Reduction) -> Array:
    if reduction == "mean":
        return weighted_mean(losses, jnp.sum(labels.weight))
    return reduce(losses, reduction)


def _soft(
    log_probs: Array,
    target: Array,
    weight: Array,
    reduction: Reduction,
    label_smoothing: float,
) -> Array:
    axis = _class_axis(log_probs)
    classes = log_probs.shape[axis]
    target = target.astype(log_probs.dtype)
    if label_smoothing > 0:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    losses = -jnp.sum(log_probs * target * _spread(weight, log_probs), axis)
    return reduce(losses, reduction)


def _check_values(
    function: str, target: Array, classes: int, ignore_index: int
) -> None:
    if isinstance(target, jax.core.Tracer) or not target.is_fully_addressable:
        return
    values = np.asarray(target)
    bad = (values != ignore_index) & ((values < 0) | (values >= classes))
    if bad.any():
        raise ValueError(
            f"{function}: expected target in [0, {classes - 1}] or equal to "
            f"ignore_index = {ignore_index}, got {values[bad][0]} instead."
        )


def _class_axis(array: Array) -> int:
    return 0 if array.ndim == 1 else 1


def _class_weight(function: str, weight: ArrayLike | None, log_probs: Array) -> Array:
    classes = log_probs.shape[_class_axis(log_probs)]
    if weight is None:
        return jnp.ones(classes, log_probs.dtype)
    weight = check_floating(function, "weight", weight).astype(log_probs.dtype)
    check_shape(function, "weight", weight, (classes,), "one weight per class")
    return weight


def _spread(weight: Array, log_probs: Array) -> Array:
    return _along(weight, _class_axis(log_probs), log_probs.ndim)


def _along(vector: Array, axis: int, ndim: int) -> Array:
    return vector.reshape([-1 if i == axis else 1 for i in range(ndim)])
