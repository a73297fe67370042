"""Class labels: check them, and pick the entry of the target class.

The derivative of a gather is a scatter, which is slow. `pick` gathers, and its
derivative compares the label with every class number, which XLA fuses into the loop
around it. A label out of range raises if its value is known; inside `jax.jit` it makes
the loss and the gradient NaN, as in `_arguments`. NumPy's 64-bit labels are checked
before JAX truncates them to 32 bits, except arguments that `jax.jit` truncates.
"""

from functools import partial
from typing import Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._checks import (
    check_floating,
    check_int,
    check_integer,
    check_range,
    check_shape,
    wrong_value,
)
from jaxgrad._types import Array, ArrayLike
from jaxgrad.losses._arguments import poison, readable

_INT32 = np.iinfo(np.int32)


class Labels(NamedTuple):
    """Class indices of scores of shape (N, C, d1, ..., dK), with their weights."""

    label: Array  # integer, (N, d1, ..., dK): the target class, always in range
    kept: Array  # bool, (N, d1, ..., dK): the label is not ignore_index
    weight: Array  # (N, d1, ..., dK): of that class; 0 if ignored, NaN if no class


def class_axis(scores: Array) -> int:
    """The axis of the classes: 0 for a single sample, else 1."""
    return 0 if scores.ndim == 1 else 1


def along_classes(per_class: Array, scores: Array) -> Array:
    """Reshape `per_class`, of shape (C,), to broadcast against `scores`."""
    shape = [1] * scores.ndim
    shape[class_axis(scores)] = per_class.size
    return per_class.reshape(shape)


def class_weights(function: str, weight: ArrayLike | None, scores: Array) -> Array:
    """One weight per class, in the dtype of `scores`; ones if None is given."""
    classes = scores.shape[class_axis(scores)]
    if weight is None:
        return jnp.ones(classes, scores.dtype)
    weight = check_floating(function, "weight", weight)
    check_shape(function, "weight", weight, (classes,), "one weight per class")
    return weight.astype(scores.dtype)


def read_labels(
    function: str,
    target: ArrayLike,
    scores: Array,
    weight: Array,
    ignore_index: SupportsIndex,
) -> Labels:
    """Check `target` against `scores` of shape (N, C, d1, ..., dK) and convert it."""
    labels = check_integer(function, "target", target)
    axis = class_axis(scores)
    classes = scores.shape[axis]
    samples = scores.shape[:axis] + scores.shape[axis + 1 :]
    check_shape(function, "target", labels, samples, "one class index per sample")
    ignore_index = check_int(function, "ignore_index", ignore_index)
    check_range(function, "ignore_index", ignore_index, _INT32.min, _INT32.max)
    _check_values(function, target, classes, ignore_index)
    return _read(labels, weight, ignore_index)


@partial(jax.jit, static_argnames="ignore_index")
def _read(labels: Array, weight: Array, ignore_index: int) -> Labels:
    classes = weight.size
    labels = signed(labels)
    kept = labels != ignore_index
    invalid = kept & ((labels < 0) | (labels >= classes))
    # A label out of range picks another class and makes its loss and gradient NaN.
    index = jnp.clip(labels, 0, max(classes - 1, 0))
    poison = jnp.where(invalid, jnp.nan, 1).astype(weight.dtype)
    own = weight[index] if classes else jnp.ones_like(poison)
    # An ignored sample's class may have an infinite weight.
    return Labels(index, kept, jnp.where(kept, poison * own, 0))


@jax.custom_jvp
def pick(scores: Array, index: Array) -> Array:
    """Each sample's entry of the class `index`; 0 if there are no classes."""
    axis = class_axis(scores)
    if not scores.shape[axis]:
        return jnp.sum(scores, axis)
    entry = jnp.take_along_axis(
        scores, jnp.expand_dims(index, axis), axis, mode="promise_in_bounds"
    )
    return jnp.squeeze(entry, axis)


@pick.defjvp
def _pick_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Any]
) -> tuple[Array, Array]:
    (scores, index), (tangent, _) = primals, tangents
    entries = jnp.where(one_hot(index, scores), tangent, 0)
    return pick(scores, index), jnp.sum(entries, class_axis(scores))


def one_hot(index: Array, scores: Array) -> Array:
    """True at the entry of `scores` of each sample's class `index`."""
    axis = class_axis(scores)
    numbers = jnp.arange(scores.shape[axis], dtype=index.dtype)
    return jnp.expand_dims(index, axis) == along_classes(numbers, scores)


def _check_values(
    function: str, target: ArrayLike, classes: int, ignore_index: int
) -> None:
    """ValueError if a label is known and out of range."""
    if (values := readable(target)) is None:
        return
    bad = (values != ignore_index) & ((values < 0) | (values >= classes))
    if bad.any():
        what = f"target in [0, {classes}) or equal to ignore_index = {ignore_index}"
        raise wrong_value(function, what, values[bad][0])


def known_labels(
    function: str, labels: Array, classes: int, dtype: jnp.dtype, least: int = 0
) -> Array:
    """1 for each label in [least, classes); NaN, or a ValueError, for others."""

    def known(label: Any) -> Any:
        return (label >= least) & (label < classes)

    return poison(function, "target", labels, known, f"in [{least}, {classes})", dtype)


def signed(labels: Array) -> Array:
    """`labels` in a signed dtype of 32 bits or more, which holds any class number."""
    if labels.dtype.itemsize < 4:
        return labels.astype(jnp.int32)
    if jnp.issubdtype(labels.dtype, jnp.unsignedinteger):
        return jnp.minimum(labels, _INT32.max).astype(jnp.int32)
    return labels
