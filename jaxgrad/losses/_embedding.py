"""Losses that compare embeddings by an angle or a distance."""

import functools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Real

from jaxgrad._checks import (
    check_broadcast,
    check_flag,
    check_number,
    check_positive,
    wrong_value,
)
from jaxgrad._types import Array, ArrayLike, Flag, Number, Reduction
from jaxgrad.losses._arguments import check_real, check_same_ndim, unified
from jaxgrad.losses._kinks import clamp_negative, norm
from jaxgrad.losses._reduction import reduce

_LEAST_SQUARE = float(np.float32(1e-12))  # PyTorch's constant is a float32

Distance = Callable[[Array, Array], Array]


def cosine_embedding_loss(
    input1: Float[ArrayLike, "*input1"],
    input2: Float[ArrayLike, "*input2"],
    target: Real[ArrayLike, "*target"] | Bool[ArrayLike, "*target"],
    margin: Number = 0,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""One minus the cosine of similar vectors; the excess cosine of dissimilar ones.

    $$ \ell_n = 1 - \cos(u_n, v_n) \text{ if } y_n = 1, \qquad
       \max(0, \cos(u_n, v_n) - m) \text{ if } y_n = -1 $$

    Args:
        input1: Vectors u, shape `(batch, features)` or `(features,)`.
        input2: Vectors v, of a shape that broadcasts against `input1`.
        target: Labels y, -1 or 1, of any real or boolean dtype, shape `(batch,)`, or
            `()` for single vectors. The loss of any other label is 0.
        margin: The cosine m up to which dissimilar vectors have the loss 0.
        reduction: "none", "mean" or "sum".

    Returns: A scalar, or with "none" the shape `(batch,)`; the promoted dtype of the
        inputs. 1e-12 is added to each squared length, so a zero vector has cosine 0.
    Derivative: Where the cosine of dissimilar vectors equals m, that of the cosine.
    Raises: TypeError for another dtype; ValueError for another shape or `reduction`.
    Torch: `torch.nn.functional.cosine_embedding_loss`. Optax's `cosine_distance` of a
        zero vector is NaN.

    Examples:
        >>> u, v = jnp.array([[1.0, 0.0]]), jnp.array([[0.6, 0.8]])
        >>> cosine_embedding_loss(u, v, jnp.array([1])).round(5).item()
        0.4
    """
    name = "cosine_embedding_loss"
    margin = check_number(name, "margin", margin)
    dtype, (u, v) = unified(name, input1=input1, input2=input2)
    y = check_real(name, "target", target, or_bool=True)
    if y.ndim > 1 or u.ndim != y.ndim + 1:
        why = "one label per vector of input1, one or two axes"
        what = f"target of shape {u.shape[:-1]} ({why})"
        raise wrong_value(name, what, f"shape {y.shape}")
    check_same_ndim(name, input1=u, input2=v)
    shape = check_broadcast(name, "input2", v, "input1", u.shape)
    check_broadcast(name, "target", y, "the batch of the inputs", shape[:-1])
    cosine = _cosine(u, v)
    unlike = jnp.where(y == -1, clamp_negative(cosine - margin), 0)
    losses = unlike + jnp.where(y == 1, 1 - cosine, 0)
    return reduce(name, losses, reduction).astype(dtype)


def triplet_margin_loss(
    anchor: Float[ArrayLike, "*anchor"],
    positive: Float[ArrayLike, "*positive"],
    negative: Float[ArrayLike, "*negative"],
    margin: Number = 1.0,
    p: Number = 2,
    eps: Number = 1e-6,
    swap: Flag = False,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Hinge loss of the distance to a positive versus the distance to a negative.

    $$ \ell_n = \max(0, d(a_n, p_n) - d(a_n, n_n) + m), \qquad
       d(u, v) = \lVert u - v + \epsilon \rVert_p $$

    Args:
        anchor: Vectors a, shape `(*batch, features)`.
        positive: Vectors p that should be near the anchor. All three broadcast.
        negative: Vectors n that should be farther, by the margin.
        margin: The margin m > 0, a distance.
        p: The degree of the norm.
        eps: Added to every difference, so that equal vectors have a small distance.
        swap: Whether to use the negative's distance from the positive, if smaller.
        reduction: "none", "mean" or "sum".

    Returns: A scalar, or with "none" the shape `(*batch)`; the promoted dtype.
    Derivative: Where the loss just reaches 0, that of the distances. A norm's is 0 at
        0. Under `swap`, two equal distances get half each.
    Raises: TypeError if an argument is not floating; ValueError if shapes do not fit,
        `reduction` is unknown, or `margin` <= 0.
    Torch: `torch.nn.functional.triplet_margin_loss`. Optax's version adds eps outside
        the sum, and is NaN for an odd `norm_degree`.

    Examples:
        >>> anchor, near, far = jnp.zeros((1, 2)), jnp.ones((1, 2)), -jnp.ones((1, 2))
        >>> triplet_margin_loss(anchor, near, far).round(5).item()
        1.0
    """
    name = "triplet_margin_loss"
    p, eps = check_number(name, "p", p), check_number(name, "eps", eps)
    check_flag(name, "swap", swap)
    triplet = {"anchor": anchor, "positive": positive, "negative": negative}
    distance = functools.partial(_pairwise_distance, p=p, eps=eps)
    return _triplet_loss(name, triplet, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Float[ArrayLike, "*anchor"],
    positive: Float[ArrayLike, "*positive"],
    negative: Float[ArrayLike, "*negative"],
    *,
    distance_function: Distance | None = None,
    margin: Number = 1.0,
    swap: Flag = False,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""The triplet loss for any distance.

    $$ \ell_n = \max(0, d(a_n, p_n) - d(a_n, n_n) + m) $$

    Args:
        anchor: Inputs a, of any shape that `distance_function` takes.
        positive: Inputs p that should be near the anchor. All three broadcast.
        negative: Inputs n that should be farther, by the margin.
        distance_function: A JAX function from two batches of inputs to their
            distances; by default the Euclidean distance of `triplet_margin_loss`. It
            gets 16-bit inputs as float32.
        margin: The margin m > 0, a distance.
        swap: Whether to use the negative's distance from the positive, if smaller.
        reduction: "none", "mean" or "sum".

    Returns: A scalar, or with "none" the shape of the distances; the promoted dtype.
    Raises: TypeError if an argument is not floating; ValueError if shapes do not fit,
        `reduction` is unknown, or `margin` <= 0.
    Torch: `torch.nn.functional.triplet_margin_with_distance_loss`.

    Examples:
        >>> anchor, near, far = jnp.array([0.0]), jnp.array([2.0]), jnp.array([1.5])
        >>> triplet_margin_with_distance_loss(
        ...     anchor, near, far, distance_function=lambda u, v: jnp.abs(u - v)
        ... ).item()
        1.5
    """
    name = "triplet_margin_with_distance_loss"
    triplet = {"anchor": anchor, "positive": positive, "negative": negative}
    distance = distance_function or _pairwise_distance
    return _triplet_loss(name, triplet, distance, margin, swap, reduction)


def _triplet_loss(
    function: str,
    triplet: Mapping[str, ArrayLike],
    distance: Distance,
    margin: Number,
    swap: Flag,
    reduction: Reduction,
) -> Array:
    margin = check_positive(function, "margin", margin)
    dtype, (anchor, positive, negative) = unified(function, **triplet)
    check_same_ndim(function, anchor=anchor, positive=positive, negative=negative)
    shape = check_broadcast(function, "positive", positive, "anchor", anchor.shape)
    check_broadcast(function, "negative", negative, "anchor and positive", shape)
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = jnp.minimum(far, distance(positive, negative))
    losses = clamp_negative(margin + near - far)
    return reduce(function, losses, reduction).astype(dtype)


def _cosine(u: Array, v: Array) -> Array:
    """The cosine of the angle between u and v; 0 if one of them is 0."""
    return jnp.sum(_unit(u) * _unit(v), -1)


def _unit(x: Array) -> Array:
    """X / sqrt(|x|^2 + 1e-12), scaled so that no square overflows."""
    largest = jnp.max(jnp.abs(x), -1, keepdims=True, initial=1)
    scale = jax.lax.stop_gradient(jnp.where(jnp.isfinite(largest), largest, 1))
    x = x / scale
    square = jnp.sum(jnp.square(x), -1, keepdims=True)
    return x / jnp.sqrt(square + _LEAST_SQUARE / scale**2)


def _pairwise_distance(u: Array, v: Array, p: Number = 2, eps: Number = 1e-6) -> Array:
    gap = u - v + eps
    if math.isinf(p) and gap.shape[-1:] == (0,):
        what = "p to be finite for vectors without features"
        raise wrong_value("triplet_margin_loss", what, p)
    return norm(gap, p)
