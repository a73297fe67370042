"""Class labels: checked, and turned into what a loss multiplies with.

The entry of the target class is picked by comparing the label with the class
numbers. Unlike an index, whose derivative is a scatter, the comparison's
derivative is a select that compiles into the loop around it.

A label out of range is a fault in the data. Where the labels can be read, it
raises; inside `jax.jit` it makes the loss *and* the gradient NaN, which takes a
multiplication: behind `where(valid, loss, nan)` the gradient would be 0.
"""

from typing import NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxgrad._checks import check_int, check_integer, check_range, check_shape
from jaxgrad._types import Array, ArrayLike

_INT32 = np.iinfo(np.int32)


class Labels(NamedTuple):
    """What class indices say about scores of shape (N, C, d1, ..., dK)."""

    onehot: Array  # bool, (N, C, d1, ..., dK)
    kept: Array  # bool, (N, d1, ..., dK): the label is not ignore_index
    weight: Array  # (N, d1, ..., dK): of the target class; NaN if out of range


def class_axis(scores: Array) -> int:
    """The axis that holds the classes: 0 of a single sample, else 1."""
    return 0 if scores.ndim == 1 else 1


def along_classes(weight: Array, scores: Array) -> Array:
    """`weight`, of shape (C,), so that it broadcasts against `scores`."""
    shape = [1] * scores.ndim
    shape[class_axis(scores)] = -1
    return weight.reshape(shape)


def class_weights(function: str, weight: ArrayLike | None, scores: Array) -> Array:
    """One weight per class, in the dtype of `scores`; ones if None is given."""
    classes = scores.shape[class_axis(scores)]
    if weight is None:
        return jnp.ones(classes, scores.dtype)
    weight = jnp.asarray(weight)
    check_shape(function, "weight", weight, (classes,), "one weight per class")
    return weight.astype(scores.dtype)


def read_labels(
    function: str,
    target: ArrayLike,
    scores: Array,
    weight: Array,
    ignore_index: int,
) -> Labels:
    """Check `target` against `scores` of shape (N, C, d1, ..., dK) and read it."""
    labels = check_integer(function, "target", target)
    axis = class_axis(scores)
    classes = scores.shape[axis]
    samples = scores.shape[:axis] + scores.shape[axis + 1 :]
    check_shape(function, "target", labels, samples, "one class index per sample")
    check_int(function, "ignore_index", ignore_index)
    check_range(function, "ignore_index", ignore_index, _INT32.min, _INT32.max)
    _check_values(function, target, classes, ignore_index)
    labels = _signed(labels)
    kept = labels != ignore_index
    invalid = kept & ((labels < 0) | (labels >= classes))
    # A label out of range picks some class, whose loss and gradient are then NaN.
    picked = jnp.clip(labels, 0, max(classes - 1, 0))
    numbers = along_classes(jnp.arange(classes, dtype=labels.dtype), scores)
    poison = jnp.where(invalid, jnp.nan, 1).astype(weight.dtype)
    return Labels(
        onehot=jnp.expand_dims(picked, axis) == numbers,
        kept=kept,
        weight=poison * (weight[picked] if classes else 1),
    )


def _check_values(
    function: str, target: ArrayLike, classes: int, ignore_index: int
) -> None:
    """ValueError if a label that can be read now is out of range."""
    if isinstance(target, jax.core.Tracer):
        return
    if isinstance(target, jax.Array) and not target.is_fully_addressable:
        return
    values = np.asarray(target)
    bad = (values != ignore_index) & ((values < 0) | (values >= classes))
    if bad.any():
        raise ValueError(
            f"{function}: expected target in [0, {classes}) or equal to "
            f"ignore_index = {ignore_index}, got {values[bad][0]} instead."
        )


def _signed(labels: Array) -> Array:
    """`labels` in a signed dtype of at least 32 bits, which holds any class number."""
    if labels.dtype.itemsize < 4:
        return labels.astype(jnp.int32)
    if jnp.issubdtype(labels.dtype, jnp.unsignedinteger):
        return jnp.minimum(labels, _INT32.max).astype(jnp.int32)
    return labels
