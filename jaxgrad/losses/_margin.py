"""Losses that are zero beyond a margin.

The kink is where the margin is just reached. As in PyTorch, losses of pairs clamp and
pass the gradient on *at* the kink; losses of classes sum the violations of the margin,
so their gradient is 0 there.
"""

import jax.numpy as jnp
from jaxtyping import Bool, Float, Integer, Real

from jaxgrad._checks import (
    check_broadcast,
    check_floating,
    check_integer,
    check_number,
    check_shape,
    wrong_value,
)
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, Number, Reduction
from jaxgrad.losses._arguments import check_real, check_same_ndim, in_one_dtype
from jaxgrad.losses._kinks import clamp_negative
from jaxgrad.losses._labels import class_weights, known_labels, one_hot, pick, signed
from jaxgrad.losses._reduction import reduce


def hinge_embedding_loss(
    input: Float[ArrayLike, "*input"],
    target: Real[ArrayLike, "*target"] | Bool[ArrayLike, "*target"],
    margin: Number = 1.0,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""The distance of similar pairs; the shortfall of dissimilar ones from a margin.

    $$ \ell_i = x_i \text{ if } y_i = 1, \qquad
       \max(0, m - x_i) \text{ if } y_i = -1 $$

    Args:
        input: Distances x, any floating array.
        target: Labels y, -1 or 1, of any real or boolean dtype and a shape that
            broadcasts against `input`. As in PyTorch, any other label adds both terms.
        margin: The distance m that dissimilar pairs should keep.
        reduction: "none", "mean" or "sum".

    Returns: A scalar, or with "none" the broadcast shape; the dtype of `input`.
    Derivative: At x = m, for dissimilar pairs, PyTorch takes -1.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.hinge_embedding_loss`.

    Examples:
        >>> hinge_embedding_loss(jnp.array([0.5, 0.75]), jnp.array([1, -1])).item()
        0.375
    """
    margin = check_number("hinge_embedding_loss", "margin", margin)
    input = check_floating("hinge_embedding_loss", "input", input)
    target = check_real("hinge_embedding_loss", "target", target, or_bool=True)
    check_broadcast("hinge_embedding_loss", "target", target, "input", input.shape)
    x = widened(input)
    unlike = jnp.where(target != 1, clamp_negative(margin - x), 0)
    losses = unlike + jnp.where(target != -1, x, 0)
    return reduce("hinge_embedding_loss", losses, reduction).astype(input.dtype)


def margin_ranking_loss(
    input1: Float[ArrayLike, "*input1"],
    input2: Float[ArrayLike, "*input2"],
    target: Real[ArrayLike, "*target"],
    margin: Number = 0,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""The shortfall of a score that should exceed another by a margin.

    $$ \ell_i = \max(0, -y_i (x_i - z_i) + m) $$

    Args:
        input1: Scores x, any floating array.
        input2: Scores z. All arguments have the same number of axes, and broadcast.
        target: 1 where x should be larger, -1 where z should; integers or floats.
        margin: The margin m, in the unit of the scores.
        reduction: "none", "mean" or "sum".

    Returns: A scalar, or with "none" the broadcast shape; the promoted dtype.
    Derivative: Where the margin is just reached, PyTorch takes that of the violated
        side: -y with respect to `input1` and y with respect to `input2`.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.margin_ranking_loss`.

    Examples:
        >>> first, second = jnp.array([2.0, 1.0]), jnp.array([1.0, 4.0])
        >>> margin_ranking_loss(first, second, jnp.array([1, 1])).item()
        1.5
    """
    name = "margin_ranking_loss"
    margin = check_number(name, "margin", margin)
    input1 = check_floating(name, "input1", input1)
    input2 = check_floating(name, "input2", input2)
    target = check_real(name, "target", target)
    check_same_ndim(name, input1=input1, input2=input2, target=target)
    shape = check_broadcast(name, "input2", input2, "input1", input1.shape)
    check_broadcast(name, "target", target, "the inputs", shape)
    dtype, (x, z, y) = in_one_dtype(input1, input2, target)
    losses = clamp_negative(-y * (x - z) + margin)
    return reduce(name, losses, reduction).astype(dtype)


def multi_margin_loss(
    input: Float[ArrayLike, "*samples"],
    target: Integer[ArrayLike, "*labels"],
    p: Number = 1,
    margin: Number = 1.0,
    weight: Float[ArrayLike, "classes"] | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Hinge loss of the other classes' scores within a margin of the target's.

    $$ \ell_n = \frac{w_{t_n}}{C} \sum_{c \ne t_n}
       \max(0, m - x_{n t_n} + x_{nc})^p $$

    Args:
        input: Scores x, shape `(batch, classes)`, `(classes,)` or `()`.
        target: Class indices t in [0, classes), shape `(batch,)`; `()` or `(1,)` for
            a single sample.
        p: The exponent, 1 or 2.
        margin: The margin m by which the target's score should be the largest.
        weight: One weight per class, shape `(classes,)`; by default all 1.
        reduction: "none", "mean" (over the samples, not over weights) or "sum".

    Returns: A scalar, or with "none" the shape of `target`; the dtype of `input`. As in
        PyTorch, a NaN score violates no margin and counts as 0.
    Derivative: 0 where the margin is just reached.
    Raises: TypeError if `input` or `weight` is not floating, or `target` not an integer
        array; ValueError if shapes do not fit, there are no classes, `p` is not 1 or
        2, or a label is out of range. Inside `jax.jit`, where label values are unknown,
        such a label makes the loss and its gradient NaN.
    Torch: `torch.nn.functional.multi_margin_loss`, which takes only int64 labels, has
        no derivative with respect to `weight` (jaxgrad computes it), and leaves the
        mean of an empty batch uninitialised (jaxgrad returns NaN).

    Examples:
        >>> multi_margin_loss(jnp.array([0.5, 1.0, 0.0]), 1).round(5).item()
        0.16667
    """
    name = "multi_margin_loss"
    margin = check_number(name, "margin", margin)
    p = check_number(name, "p", p)
    if p not in (1, 2):
        raise wrong_value(name, "p to be 1 or 2", repr(p))
    input, scores = _rows(name, input)
    labels = signed(check_integer(name, "target", target))
    samples, classes = scores.shape
    single = input.ndim < 2 and labels.shape in ((), (1,))
    if not single:
        check_shape(name, "target", labels, (samples,), "one class index per sample")
    known = known_labels(name, labels, classes, scores.dtype)
    index = jnp.clip(labels.reshape(samples), 0, classes - 1)
    gaps = margin - pick(scores, index)[:, None] + scores
    gaps = jnp.where(~one_hot(index, scores) & (gaps > 0), gaps, 0)
    own = class_weights(name, weight, scores)[index] * known.reshape(samples)
    losses = own * jnp.sum(gaps**p, axis=1) / classes
    return reduce(name, losses.reshape(labels.shape), reduction).astype(input.dtype)


def multilabel_margin_loss(
    input: Float[ArrayLike, "*samples"],
    target: Integer[ArrayLike, "*labels"],
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Hinge loss of the other classes' scores within 1 of those of target classes.

    $$ \ell_n = \frac{1}{C} \sum_{t \in T_n} \sum_{c \notin T_n}
       \max(0, 1 - x_{nt} + x_{nc}) $$

    Args:
        input: Scores x, shape `(batch, classes)`, `(classes,)` or `()`.
        target: Class indices of the shape of `input`. The labels T of a sample are
            those before its first -1; a class listed twice counts twice.
        reduction: "none", "mean" or "sum".

    Returns: A scalar, or with "none" the shape `(batch,)`, or `()` for a single sample;
        the dtype of `input`. As in PyTorch, a NaN score violates no margin.
    Derivative: 0 where the margin is just reached.
    Raises: TypeError if `input` is not floating, or `target` not an integer array;
        ValueError if shapes do not fit, there are no classes, or a label is outside
        [-1, classes). Inside `jax.jit`, where label values are unknown, such a label
        makes the loss and its gradient NaN.
    Torch: `torch.nn.functional.multilabel_margin_loss`, which takes only int64 labels.

    Examples:
        >>> scores = jnp.array([0.25, 0.5, 1.0, 2.0])
        >>> multilabel_margin_loss(scores, jnp.array([3, 0, -1, 1])).round(5).item()
        0.75
    """
    name = "multilabel_margin_loss"
    input, scores = _rows(name, input)
    labels = signed(check_integer(name, "target", target))
    if jnp.atleast_1d(labels).shape != jnp.atleast_1d(input).shape:
        check_shape(name, "target", labels, input.shape, "the shape of input")
    known = known_labels(name, labels, scores.shape[1], scores.dtype, least=-1)
    known = known.reshape(scores.shape)
    labels = labels.reshape(scores.shape)
    listed = jnp.cumprod(labels != -1, axis=1).astype(bool)
    index = jnp.clip(labels, 0, scores.shape[1] - 1)
    classes = jnp.arange(scores.shape[1], dtype=index.dtype)
    named = listed[:, :, None] & (index[:, :, None] == classes)  # label, class
    wanted = jnp.take_along_axis(scores, index, 1, mode="promise_in_bounds")
    gaps = 1 - wanted[:, :, None] + scores[:, None, :]
    others = listed[:, :, None] & ~jnp.any(named, axis=1, keepdims=True)
    violated = jnp.sum(jnp.where(others & (gaps > 0), gaps, 0), axis=(1, 2))
    losses = violated / scores.shape[1] * jnp.prod(known, axis=1)
    return reduce(name, losses.reshape(input.shape[:-1]), reduction).astype(input.dtype)


def _rows(function: str, input: ArrayLike) -> tuple[Array, Array]:
    """Return `input` as an array, and widened to shape (samples, classes)."""
    input = check_floating(function, "input", input)
    if input.ndim > 2 or 0 in input.shape[-1:]:
        shapes = "(batch, classes), (classes,) or ()"
        what = f"input of shape {shapes} with at least one class"
        raise wrong_value(function, what, f"shape {input.shape}")
    samples = input.shape[0] if input.ndim == 2 else 1
    return input, widened(input).reshape(samples, -1 if samples else input.shape[1])
