r"""Softmax over many classes, most of them rare.

Classes are sorted by frequency. The head classifies the frequent ones and the clusters
of rare ones; each cluster has its own cheaper, narrower classifier:
$\log p_c = \log p_{\text{cluster}} + \log p_{c \mid \text{cluster}}$.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float, Integer

from jaxgrad._checks import check_floating, check_integer, check_shape, wrong_value
from jaxgrad._types import Array, ArrayLike
from jaxgrad.activations import log_softmax
from jaxgrad.losses._arguments import in_one_dtype
from jaxgrad.losses._classification import softmax_nll
from jaxgrad.losses._labels import known_labels, signed

Cluster = tuple[ArrayLike, ArrayLike]


class AdaptiveOutput(NamedTuple):
    """What torch's AdaptiveLogSoftmaxWithLoss returns."""

    output: Array  # (batch,): the log probability of each target
    loss: Array  # (): minus the mean of output


class _Weights(NamedTuple):
    head: Array  # (shortlist + clusters, features)
    bias: Array  # (shortlist + clusters,)
    tail: list[tuple[Array, Array]]  # (narrow, features) and (size, narrow) each

    def bounds(self) -> list[int]:
        """The first class of each cluster, and the number of classes."""
        bounds = [self.head.shape[0] - len(self.tail)]
        for _, cluster in self.tail:
            bounds.append(bounds[-1] + cluster.shape[0])
        return bounds

    def head_logits(self, x: Array) -> Array:
        return x @ self.head.T + self.bias

    def cluster_logits(self, x: Array) -> list[Array]:
        return [x @ narrow.T @ cluster.T for narrow, cluster in self.tail]


def adaptive_log_softmax_with_loss(
    input: Float[ArrayLike, "*batch features"],
    target: Integer[ArrayLike, "*batch"],
    head: Float[ArrayLike, "entries features"],
    tail: Sequence[Cluster],
    head_bias: Float[ArrayLike, "entries"] | None = None,
) -> AdaptiveOutput:
    r"""Log probability of the target class, with the rare classes in clusters.

    Args:
        input: Features, shape `(batch, features)` or `(features,)`.
        target: Class indices, shape `(batch,)` or `()`; frequent classes first.
        head: The head's weight, shape `(shortlist + clusters, features)`: a row for
            each frequent class, then one for each cluster.
        tail: Two weights per cluster, `(narrow, features)` and `(size, narrow)`. All
            weights have PyTorch's layout; their sizes give its cutoffs.
        head_bias: The head's bias, shape `(shortlist + clusters,)`; by default 0.

    Returns: `output`, the log probability of each target, of the shape of `target`, and
        `loss`, minus its mean. The promoted dtype of the floating arguments.
    Raises: TypeError if an argument is not floating, or `target` not an integer array;
        ValueError if shapes do not fit, or a label is out of range. Inside `jax.jit`,
        where label values are unknown, such a label makes its output, the loss and the
        gradient NaN.
    Torch: `torch.nn.AdaptiveLogSoftmaxWithLoss`: its `head.weight`, `head.bias`, and
        for each `i` in its tail `tail[i][0].weight` and `tail[i][1].weight`.
    References: Grave et al., 2017.

    Examples:
        >>> x, head, narrow = jnp.ones((1, 4)), jnp.zeros((3, 4)), jnp.zeros((2, 4))
        >>> tail = [(narrow, jnp.zeros((5, 2)))]  # 2 frequent classes, 5 rare ones
        >>> adaptive_log_softmax_with_loss(x, jnp.array([6]), head, tail).loss.item()
        2.7080502
    """
    name = "adaptive_log_softmax_with_loss"
    dtype, x, weights = _arguments(name, input, head, tail, head_bias)
    labels = signed(check_integer(name, "target", target))
    check_shape(name, "target", labels, x.shape[:-1], "one class per input")
    bounds = weights.bounds()
    known = known_labels(name, labels, bounds[-1], x.dtype)
    entry, losses = labels, jnp.zeros_like(known)
    for i, logits in enumerate(weights.cluster_logits(x)):
        here = (bounds[i] <= labels) & (labels < bounds[i + 1])
        entry = jnp.where(here, bounds[0] + i, entry)
        within = jnp.clip(labels - bounds[i], 0, logits.shape[-1] - 1)
        losses += jnp.where(here, softmax_nll(logits, within), 0)
    entry = jnp.clip(entry, 0, weights.head.shape[0] - 1)
    losses = (losses + softmax_nll(weights.head_logits(x), entry)) * known
    return AdaptiveOutput((-losses).astype(dtype), jnp.mean(losses).astype(dtype))


def adaptive_log_softmax(
    input: Float[ArrayLike, "*batch features"],
    head: Float[ArrayLike, "entries features"],
    tail: Sequence[Cluster],
    head_bias: Float[ArrayLike, "entries"] | None = None,
) -> Float[Array, "*batch classes"]:
    r"""Log probabilities of all classes, with the rare ones in clusters.

    Args: as in `adaptive_log_softmax_with_loss`.
    Returns: Shape `(batch, classes)` or `(classes,)`; the promoted dtype.
    Raises: TypeError if an argument is not floating; ValueError if shapes do not fit.
    Torch: `torch.nn.AdaptiveLogSoftmaxWithLoss.log_prob`; its `predict` is the argmax.

    Examples:
        >>> x, head, narrow = jnp.ones(4), jnp.zeros((2, 4)), jnp.zeros((2, 4))
        >>> tail = [(narrow, jnp.zeros((2, 2)))]  # 1 frequent class, 2 rare ones
        >>> jnp.exp(adaptive_log_softmax(x, head, tail)).tolist()
        [0.5, 0.25, 0.25]
    """
    name = "adaptive_log_softmax"
    dtype, x, weights = _arguments(name, input, head, tail, head_bias)
    shortlist = weights.bounds()[0]
    log_head = log_softmax(weights.head_logits(x), axis=-1)
    parts = [log_head[..., :shortlist]]
    for i, logits in enumerate(weights.cluster_logits(x)):
        own = log_head[..., shortlist + i, None]
        parts.append(own + log_softmax(logits, axis=-1))
    return jnp.concatenate(parts, axis=-1).astype(dtype)


def _arguments(
    function: str,
    input: ArrayLike,
    head: ArrayLike,
    tail: Sequence[Cluster],
    head_bias: ArrayLike | None,
) -> tuple[jnp.dtype, Array, _Weights]:
    """Return the result's dtype, and all arguments, checked and widened."""
    x = check_floating(function, "input", input)
    head = check_floating(function, "head", head)
    pairs = [
        [check_floating(function, f"tail[{i}][{j}]", w) for j, w in enumerate(pair)]
        for i, pair in enumerate(tail)
    ]
    entries = head.shape[0] if head.ndim else 0
    bias = jnp.zeros(entries, head.dtype) if head_bias is None else head_bias
    bias = check_floating(function, "head_bias", bias)
    _check_shapes(function, x, head, pairs, bias)
    flat = [x, head, bias, *(weight for pair in pairs for weight in pair)]
    dtype, (x, head, bias, *rest) = in_one_dtype(*flat)
    return dtype, x, _Weights(head, bias, list(zip(rest[::2], rest[1::2], strict=True)))


def _check_shapes(
    function: str, x: Array, head: Array, pairs: list[list[Array]], bias: Array
) -> None:
    if x.ndim not in (1, 2):
        what = "input of shape (batch, features) or (features,)"
        raise wrong_value(function, what, f"shape {x.shape}")
    features = x.shape[-1]
    entries = head.shape[0] if head.ndim else 0
    check_shape(function, "head", head, (entries, features), "entries, features")
    check_shape(function, "head_bias", bias, (entries,), "one per row of head")
    if not 1 <= len(pairs) < entries:
        why = f"head has {entries} rows, at least one of them a class"
        what = f"tail of 1 to {entries - 1} clusters ({why})"
        raise wrong_value(function, what, len(pairs))
    for i, (narrow, cluster) in enumerate(pairs):
        width = narrow.shape[0] if narrow.ndim else 0
        size = cluster.shape[0] if cluster.ndim else 0
        check_shape(function, f"tail[{i}][0]", narrow, (width, features))
        check_shape(function, f"tail[{i}][1]", cluster, (max(size, 1), width))
