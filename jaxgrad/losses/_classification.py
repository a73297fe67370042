r"""Losses of a choice among classes.

All are $\ell_n = -\sum_c a_{nc} \log p_{nc}$, where a is the weighted one-hot vector
of the target class, with or without label smoothing, or given probabilities. With p the
softmax of logits, the derivative
$p_n \sum_c a_{nc} - a_n$ is finite even where a probability underflows.
"""

from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
from jaxtyping import Float, Integer, Real

from jaxgrad._checks import (
    as_array,
    check_floating,
    check_int,
    check_ndim,
    check_range,
    check_shape,
    wrong_value,
)
from jaxgrad._numerics import promoted, widened
from jaxgrad._types import Array, ArrayLike, Number, Reduction
from jaxgrad.activations import log_softmax, softmax
from jaxgrad.losses._labels import (
    Labels,
    along_classes,
    class_axis,
    class_weights,
    one_hot,
    pick,
    read_labels,
)
from jaxgrad.losses._reduction import mean_of_kept, reduce


def nll_loss(
    log_probs: Float[ArrayLike, "*samples"],
    target: Integer[ArrayLike, "*labels"],
    weight: Float[ArrayLike, "classes"] | None = None,
    ignore_index: SupportsIndex = -100,
    reduction: Reduction = "mean",
) -> Float[Array, "*reduced"]:
    r"""Negative log likelihood: minus the entry of the target class, weighted.

    $$ \ell_n = -w_{t_n} \, x_{n t_n}, \qquad
       \text{mean} = \frac{\sum_n \ell_n}{\sum_n w_{t_n}} $$

    Args:
        log_probs: Log probabilities, shape `(classes,)`, `(batch, classes)` or
            `(batch, classes, d1, ..., dK)`.
        target: Class indices in [0, classes), any integer dtype: the shape of
            `log_probs` without the axis of the classes.
        weight: One weight per class, shape `(classes,)`; by default all 1.
        ignore_index: The label of samples to leave out; may be a class.
        reduction: "none", "mean" (the weighted mean over the other samples) or "sum".

    Returns: A scalar, or with "none" the shape of `target`; the dtype of `log_probs`.
        The mean of no samples (empty, or all ignored) is NaN, with gradient 0.
    Raises: TypeError if `log_probs` or `weight` is not floating, or `target` not an
        integer array; ValueError if shapes do not fit, or a label is out of range.
        Inside `jax.jit`, where label values are unknown, such a label makes the loss
        and its gradient NaN. (Without x64, JAX truncates 64-bit arguments of a jitted
        function to 32 bits: there 2**32 arrives as label 0, which is not detected.)
    Torch: `torch.nn.functional.nll_loss`, which takes only int64 and uint8 labels and
        has no derivative with respect to `weight`; jaxgrad computes it.

    Examples:
        >>> log_probs = jnp.log(jnp.array([[0.25, 0.75], [0.5, 0.5]]))
        >>> nll_loss(log_probs, jnp.array([1, -100])).round(5).item()
        0.28768
    """
    log_probs = check_floating("nll_loss", "log_probs", log_probs)
    check_ndim("nll_loss", "log_probs", log_probs, least=1)
    dtype, log_probs = log_probs.dtype, widened(log_probs)
    class_weight = class_weights("nll_loss", weight, log_probs)
    labels = read_labels("nll_loss", target, log_probs, class_weight, ignore_index)
    losses = -labels.weight * pick(log_probs, labels.label)
    return _reduced("nll_loss", losses, labels, reduction).astype(dtype)


def cross_entropy(
    logits: Float[ArrayLike, "*samples"],
    target: Real[ArrayLike, "*target"],
    weight: Float[ArrayLike, "classes"] | None = None,
    ignore_index: SupportsIndex = -100,
    reduction: Reduction = "mean",
    label_smoothing: Number = 0.0,
) -> Float[Array, "*reduced"]:
    r"""Cross-entropy between a target and the softmax of the logits.

    $$ \ell_n = -\sum_c w_c \, q_{nc} \log p_{nc}, \qquad
       p_n = \mathrm{softmax}(x_n) $$

    Args:
        logits: Scores, shape `(classes,)`, `(batch, classes)` or
            `(batch, classes, d1, ..., dK)`.
        target: Either class indices as in `nll_loss` (an integer dtype; then q is
            one-hot), or probabilities q of the shape of `logits` (a floating dtype).
        weight: One weight per class, shape `(classes,)`; by default all 1.
        ignore_index: The label of samples to leave out; may be a class. With
            probabilities it must be negative, and has no effect.
        reduction: "none", "sum" or "mean": over the sum of the target classes'
            weights for indices, over the number of samples for probabilities.
        label_smoothing: The fraction in [0, 1] of q to spread evenly over all classes.

    Returns: A scalar, or with "none" the shape of `logits` without the axis of the
        classes. The dtype of `logits`, promoted with that of probabilities. The mean of
        no samples (empty, or all ignored) is NaN, with gradient 0.
    Raises: TypeError or ValueError as in `nll_loss`; ValueError also if
        `label_smoothing` is outside [0, 1], or `ignore_index` >= 0 comes with
        probabilities.
    Torch: `torch.nn.functional.cross_entropy`, which ignores a negative
        `label_smoothing`, and otherwise differs as in `nll_loss`.

    Examples:
        >>> import jax
        >>> logits = jnp.array([0.0, 0.0, 1.0])
        >>> cross_entropy(logits, 2).round(5).item()
        0.55144
        >>> jax.grad(cross_entropy)(logits, 2).round(5).tolist()  # softmax - one-hot
        [0.21194, 0.21194, -0.42388]
    """
    ignore_index = check_int("cross_entropy", "ignore_index", ignore_index)
    logits = check_floating("cross_entropy", "logits", logits)
    check_ndim("cross_entropy", "logits", logits, least=1)
    label_smoothing = check_range(
        "cross_entropy", "label_smoothing", label_smoothing, 0, 1
    )
    if jnp.issubdtype(as_array("cross_entropy", "target", target).dtype, jnp.floating):
        return _against_probabilities(
            logits, target, weight, ignore_index, reduction, label_smoothing
        )
    dtype, logits = logits.dtype, widened(logits)
    class_weight = class_weights("cross_entropy", weight, logits)
    labels = read_labels("cross_entropy", target, logits, class_weight, ignore_index)
    losses = weighted_softmax_nll(logits, labels.label, labels.weight)
    loss = _reduced("cross_entropy", losses, labels, reduction)
    if label_smoothing > 0:
        even = _evenly_spread(logits, class_weight)
        even = _reduced("cross_entropy", even, labels, reduction)
        loss = (1 - label_smoothing) * loss + label_smoothing * even
    return loss.astype(dtype)


def _against_probabilities(
    logits: Array,
    target: ArrayLike,
    weight: ArrayLike | None,
    ignore_index: int,
    reduction: Reduction,
    label_smoothing: Number,
) -> Array:
    """cross_entropy of a floating target; checks its shape."""
    if ignore_index >= 0:
        what = "ignore_index < 0 with class probabilities"
        raise wrong_value("cross_entropy", what, ignore_index)
    target = jnp.asarray(target)
    why = "class probabilities, as its dtype is floating"
    check_shape("cross_entropy", "target", target, logits.shape, why)
    dtype = promoted(logits, target)
    logits, target = widened(logits.astype(dtype)), widened(target.astype(dtype))
    class_weight = class_weights("cross_entropy", weight, logits)
    axis = class_axis(logits)
    classes = max(logits.shape[axis], 1)
    if label_smoothing > 0:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    coefficients = target * along_classes(class_weight, logits)
    losses = -jnp.sum(log_softmax(logits, axis) * coefficients, axis)
    samples = logits.size // classes
    return reduce("cross_entropy", losses, reduction, samples).astype(dtype)


def _evenly_spread(logits: Array, class_weight: Array) -> Array:
    """The weighted loss of the uniform distribution over the classes."""
    axis = class_axis(logits)
    weighted = log_softmax(logits, axis) * along_classes(class_weight, logits)
    return -jnp.sum(weighted, axis) / logits.shape[axis]


@jax.custom_jvp
@jax.jit
def softmax_nll(logits: Array, index: Array) -> Array:
    """`-pick(log_softmax(logits), index)` without the log-softmax in memory."""
    # For many classes this takes half the time: it reads logits and writes gradients.
    axis = class_axis(logits)
    largest = jnp.max(logits, axis, initial=-jnp.inf)
    exponentials = jnp.exp(logits - jnp.expand_dims(largest, axis))
    # log(...) + largest would lose digits if `largest` is large.
    return jnp.log(jnp.sum(exponentials, axis)) - (pick(logits, index) - largest)


@softmax_nll.defjvp
def _softmax_nll_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Any]
) -> tuple[Array, Array]:
    (logits, index), (tangent, _) = primals, tangents
    axis = class_axis(logits)
    onehot = one_hot(index, logits).astype(logits.dtype)
    slopes = softmax(logits, axis) - onehot
    return softmax_nll(logits, index), jnp.sum(slopes * tangent, axis)


@jax.custom_jvp
def weighted_softmax_nll(logits: Array, index: Array, weight: Array) -> Array:
    """`weight * softmax_nll(logits, index)`, with PyTorch's derivative."""
    return weight * softmax_nll(logits, index)


@weighted_softmax_nll.defjvp
def _weighted_softmax_nll_jvp(
    primals: tuple[Array, Array, Array], tangents: tuple[Array, Any, Array]
) -> tuple[Array, Array]:
    (logits, index, weight), (tangent, _, weight_tangent) = primals, tangents
    axis = class_axis(logits)
    own = jnp.expand_dims(weight, axis)
    # Each part is weighted separately: an infinite weight makes the difference NaN.
    slopes = own * softmax(logits, axis) - jnp.where(one_hot(index, logits), own, 0)
    nll = softmax_nll(logits, index)
    return weight * nll, jnp.sum(slopes * tangent, axis) + nll * weight_tangent


def _reduced(
    function: str, losses: Array, labels: Labels, reduction: Reduction
) -> Array:
    if reduction == "mean":
        return mean_of_kept(losses, labels.weight, labels.kept)
    return reduce(function, jnp.where(labels.kept, losses, 0), reduction)
