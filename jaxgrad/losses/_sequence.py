r"""Connectionist temporal classification: label sequences without an alignment.

A path has one class per frame; merging repeats and dropping blanks turns it into
labels. The loss is minus the log of the total probability of all paths that give the
target. One scan over the frames sums them: `log_alpha[s]` is the log probability of all
paths so far that end at position s of the labels with blanks between them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
from jaxtyping import Float, Integer

from jaxgrad._checks import (
    check_flag,
    check_floating,
    check_int,
    check_integer,
    check_shape,
    wrong_value,
)
from jaxgrad._numerics import widened
from jaxgrad._types import Array, ArrayLike, Flag, Reduction
from jaxgrad.losses._arguments import poison, readable
from jaxgrad.losses._labels import signed
from jaxgrad.losses._reduction import reduce


def ctc_loss(
    log_probs: Float[ArrayLike, "*frames"],
    targets: Integer[ArrayLike, "*targets"],
    input_lengths: Integer[ArrayLike, "*batch"] | Sequence[int],
    target_lengths: Integer[ArrayLike, "*batch"] | Sequence[int],
    blank: SupportsIndex = 0,
    reduction: Reduction = "mean",
    zero_infinity: Flag = False,
) -> Float[Array, "*reduced"]:
    r"""Negative log likelihood of label sequences, summed over all alignments.

    $$ \ell_n = -\log \sum_{\pi \to y_n} \prod_{t < T_n} p_{t n \pi_t} $$

    Args:
        log_probs: Log probabilities, shape `(frames, batch, classes)`, or
            `(frames, classes)` for a single sequence.
        targets: Class indices other than `blank`, padded to shape `(batch, longest)`
            or concatenated to shape `(sum(target_lengths),)`.
        input_lengths: The number of frames T of each sequence, shape `(batch,)`.
        target_lengths: The number of labels of each sequence, shape `(batch,)`.
        blank: The class of the blank.
        reduction: "none", "mean" (each loss divided by its target's length, then the
            mean over the batch) or "sum".
        zero_infinity: Whether a target that is too long for its frames, so that no
            path gives it, has loss and gradient 0 instead of infinity and NaN.

    Returns: A scalar, or with "none" the shape `(batch,)`; the dtype of `log_probs`.
    Derivative: As in PyTorch, the gradient of the loss plus exp(log_probs). If
        `log_probs` is a log-softmax, this is the gradient with respect to its logits,
        and the log-softmax passes it on unchanged; otherwise it is not the gradient.
    Raises: TypeError if `log_probs` is not floating, or another array is not integer;
        ValueError if shapes do not fit, or a length or a label within its length is out
        of range. Inside `jax.jit`, where values are unknown, such a number makes the
        loss and its gradient NaN.
    Torch: `torch.nn.functional.ctc_loss`. Optax's `ctc_loss` takes logits and paddings,
        and returns 1e5 instead of infinity.

    Examples:
        >>> even = jnp.log(jnp.full((2, 1, 2), 0.5))  # paths of 2 frames: 3 of 4 fit
        >>> ctc_loss(even, jnp.array([[1]]), (2,), (1,)).round(5).item()
        0.28768
    """
    check_flag("ctc_loss", "zero_infinity", zero_infinity)
    log_probs = check_floating("ctc_loss", "log_probs", log_probs)
    blank = check_int("ctc_loss", "blank", blank)
    frames = _batched(log_probs, blank)
    batch = _read(frames, targets, input_lengths, target_lengths, blank)
    losses = jax.vmap(_negative_log_likelihood, (1, 0, 0, 0, None, None))(
        frames, batch.labels, batch.frames, batch.lengths, blank, zero_infinity
    )
    losses = losses * batch.known
    if reduction == "mean":
        losses = losses / jnp.maximum(batch.lengths, 1).astype(losses.dtype)
    losses = losses if log_probs.ndim == 3 else losses[0]
    return reduce("ctc_loss", losses, reduction).astype(log_probs.dtype)


class _Batch(NamedTuple):
    """Targets and lengths for frames of shape (frames, batch, classes)."""

    labels: Array  # (batch, longest): in range, padded with blanks
    frames: Array  # (batch,): the number of frames
    lengths: Array  # (batch,): the number of labels
    known: Array  # (batch,): 1, or NaN where a label or a length is out of range


def _batched(log_probs: Array, blank: int) -> Array:
    """Check both; return `log_probs`, widened, with a batch axis."""
    if log_probs.ndim not in (2, 3) or not log_probs.size:
        shapes = "(frames, batch, classes) or (frames, classes)"
        what = f"log_probs of shape {shapes}, not empty"
        raise wrong_value("ctc_loss", what, f"shape {log_probs.shape}")
    classes = log_probs.shape[-1]
    if not 0 <= blank < classes:
        raise wrong_value("ctc_loss", f"blank in [0, {classes})", blank)
    return widened(log_probs).reshape(log_probs.shape[0], -1, classes)


def _read(
    log_probs: Array, targets: ArrayLike, frames: Any, lengths: Any, blank: int
) -> _Batch:
    """Check labels and lengths against `log_probs`, and convert them."""
    most, batch, classes = log_probs.shape
    frames = _lengths("input_lengths", frames, batch)
    lengths = _lengths("target_lengths", lengths, batch)
    labels = _padded(signed(check_integer("ctc_loss", "targets", targets)), lengths)
    within = jnp.arange(labels.shape[1]) < lengths[:, None]
    labels = jnp.where(within, labels, blank)

    def known(argument: str, value: Array, least: int, most: int) -> Array:
        return poison(
            "ctc_loss",
            argument,
            value,
            lambda number: (number >= least) & (number <= most),
            f"in [{least}, {most}]",
            log_probs.dtype,
        )

    fits = known("input_lengths", frames, 0, most)
    fits *= known("target_lengths", lengths, 0, labels.shape[1])
    fits *= jnp.prod(known("targets", labels, 0, classes - 1), axis=1)
    return _Batch(jnp.clip(labels, 0, classes - 1), frames, lengths, fits)


def _lengths(argument: str, lengths: Any, batch: int) -> Array:
    if isinstance(lengths, (list, tuple)):
        lengths = jnp.stack([jnp.asarray(length) for length in lengths])
    lengths = signed(check_integer("ctc_loss", argument, lengths))
    if not (batch == 1 and lengths.shape == ()):
        check_shape("ctc_loss", argument, lengths, (batch,), "one per sequence")
    return lengths.reshape(batch)


def _padded(labels: Array, lengths: Array) -> Array:
    """The labels in shape (batch, longest), from either layout."""
    if labels.ndim == 2 and labels.shape[0] == lengths.size:
        return labels
    if labels.ndim != 1:
        shapes = f"({lengths.size}, longest) or (sum(target_lengths),)"
        what = f"targets of shape {shapes}"
        raise wrong_value("ctc_loss", what, f"shape {labels.shape}")
    known = readable(lengths)
    if known is not None:
        total, why = int(known.sum()), "the sum of target_lengths"
        check_shape("ctc_loss", "targets", labels, (total,), why)
    longest = labels.size if known is None else int(known.max())
    start = jnp.cumsum(lengths) - lengths
    index = start[:, None] + jnp.arange(longest, dtype=lengths.dtype)
    return labels.at[index].get(mode="fill", fill_value=-1)


def _negative_log_likelihood(
    log_probs: Array,
    labels: Array,
    frames: Array,
    length: Array,
    blank: int,
    zero_infinity: Flag,
) -> Array:
    """The loss of one sequence, with log_probs of shape (frames, classes)."""
    positions = jnp.full(2 * labels.size + 1, blank, labels.dtype).at[1::2].set(labels)
    number = jnp.arange(positions.size)
    differs = positions != jnp.roll(positions, 2)
    may_skip = (number >= 2) & differs  # equal labels need the blank between them

    def step(log_alpha: Array, frame: tuple[Array, Array]) -> tuple[Array, None]:
        time, emitted = frame
        advance, skip = (_shifted(log_alpha, by) for by in (1, 2))
        skip = jnp.where(may_skip, skip, -jnp.inf)
        walked = emitted + _log_sum_exp(jnp.stack([log_alpha, advance, skip]))
        return jnp.where(time < frames, walked, log_alpha), None

    start = jnp.where(number == 0, 0, -jnp.inf).astype(log_probs.dtype)
    times = jnp.arange(log_probs.shape[0])
    log_alpha, _ = jax.lax.scan(step, start, (times, log_probs[:, positions]))
    ends = (number == 2 * length) | (number == 2 * length - 1)
    loss = -_log_sum_exp(jnp.where(ends, log_alpha, -jnp.inf))
    infinite = loss == jnp.inf
    # Masked before the exponential: its overflow would make the gradient NaN.
    seen = jnp.where((times < frames)[:, None], log_probs, -jnp.inf)
    total = jnp.exp(seen).sum()
    if zero_infinity:
        return jnp.where(infinite, 0, loss + _slope_of(total))
    return loss + _slope_of(total * jnp.where(infinite, jnp.nan, 1))


def _shifted(x: Array, by: int) -> Array:
    """`x` moved `by` places to the right, padded with -inf."""
    return jnp.pad(x, (by, 0), constant_values=-jnp.inf)[: x.size]


@jax.custom_jvp
def _log_sum_exp(x: Array) -> Array:
    """log(sum(exp(x))) over the first axis; all -inf give -inf, with slope 0."""
    largest = jnp.max(x, axis=0)
    shift = jnp.where(jnp.isfinite(largest), largest, 0)
    return shift + jnp.log(jnp.sum(jnp.exp(x - shift), axis=0))


@_log_sum_exp.defjvp
def _log_sum_exp_jvp(
    primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    total = _log_sum_exp(x)
    shares = jnp.exp(x - jnp.where(jnp.isfinite(total), total, 0))
    return total, jnp.sum(shares * tangent, axis=0)


@jax.custom_jvp
def _slope_of(x: Array) -> Array:
    """0, with the derivative of x."""
    return jnp.zeros_like(x)


_slope_of.defjvps(lambda tangent, zero, x: tangent)
