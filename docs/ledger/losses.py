"""The losses in the ledger: names in PyTorch and Optax, and differences.

jaxgrad is measured on all cases, Optax on those whose options it has.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from docs.ledger._golden import Difference, largest
from docs.ledger._table import Table, code
from tests.cases import FAMILIES, Case, in_jaxgrad

REDUCTIONS: dict[str, Callable[[Any], Any]] = {
    "none": lambda losses: losses,
    "mean": jnp.mean,
    "sum": jnp.sum,
}


class Entry(NamedTuple):
    """Optax's counterpart; `function` maps arrays and options to unreduced losses."""

    optax: str
    differs: str
    function: Callable[..., Any] | None = None
    reductions: tuple[str, ...] = tuple(REDUCTIONS)
    torch: str | None = None
    """Its name in PyTorch, if different."""


class Row(NamedTuple):
    """One line of the ledger."""

    name: str
    torch: str
    optax: str
    differs: str
    cases: int
    jaxgrad_difference: Difference | None
    optax_cases: int
    optax_difference: Difference | None


def _cross_entropy(logits: Any, target: Any) -> Any:
    logits = jnp.moveaxis(logits, min(1, logits.ndim - 1), -1)
    target = jnp.asarray(target)
    if jnp.issubdtype(target.dtype, jnp.integer):
        return optax.softmax_cross_entropy_with_integer_labels(logits, target)
    probabilities = jnp.moveaxis(target, min(1, target.ndim - 1), -1)
    return optax.softmax_cross_entropy(logits, probabilities)


def _triplet(a: Any, p: Any, n: Any, margin: float = 1.0, eps: float = 1e-6) -> Any:
    return optax.losses.triplet_margin_loss(a, p, n, margin=margin, eps=eps)


def _ctc(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any) -> Any:
    def paddings(lengths: Any, most: int) -> Any:
        return (jnp.arange(most) >= jnp.asarray(lengths)[:, None]) * 1.0

    frames = paddings(input_lengths, log_probs.shape[0])
    labels = paddings(target_lengths, targets.shape[1])
    return optax.ctc_loss(jnp.swapaxes(log_probs, 0, 1), frames, targets, labels)


ENTRIES = {
    "l1_loss": Entry("-", "not in Optax"),
    "mse_loss": Entry(
        "squared_error", "no weight; l2_loss is half of it", optax.losses.squared_error
    ),
    "smooth_l1_loss": Entry(
        "huber_loss",
        "is beta times as large; no beta of 0",
        lambda x, y, beta=1.0: optax.huber_loss(x, y, delta=beta) / beta,
    ),
    "huber_loss": Entry(
        "huber_loss",
        "no weight",
        lambda x, y, delta=1.0: optax.huber_loss(x, y, delta=delta),
    ),
    "nll_loss": Entry("-", "not in Optax"),
    "cross_entropy": Entry(
        "softmax_cross_entropy(_with_integer_labels)",
        "no weight, ignore_index, smoothing; label -100: NaN with a finite gradient",
        _cross_entropy,
    ),
    "linear_cross_entropy": Entry("-", "not in Optax"),
    "kl_div": Entry(
        "kl_divergence",
        "sums over the last axis",
        lambda log_q, p: optax.losses.kl_divergence(log_q, p),
        ("sum",),
    ),
    "poisson_nll_loss": Entry("-", "not in Optax"),
    "gaussian_nll_loss": Entry("-", "not in Optax"),
    "binary_cross_entropy": Entry("-", "takes logits only"),
    "binary_cross_entropy_with_logits": Entry(
        "sigmoid_binary_cross_entropy",
        "no weight, pos_weight",
        optax.sigmoid_binary_cross_entropy,
    ),
    "soft_margin_loss": Entry("-", "not in Optax; PyTorch's overflows"),
    "multilabel_soft_margin_loss": Entry(
        "sigmoid_binary_cross_entropy",
        "no mean over the classes, no weight",
        lambda x, y: optax.sigmoid_binary_cross_entropy(x, y).mean(-1),
    ),
    "hinge_embedding_loss": Entry("-", "hinge_loss takes scores, not distances"),
    "margin_ranking_loss": Entry("-", "not in Optax"),
    "multi_margin_loss": Entry(
        "multiclass_hinge_loss",
        "the largest violation instead of the mean",
        lambda x, target: optax.losses.multiclass_hinge_loss(x, target),
    ),
    "multilabel_margin_loss": Entry("-", "not in Optax"),
    "cosine_embedding_loss": Entry("cosine_distance", "only similar pairs; NaN at 0"),
    "triplet_margin_loss": Entry(
        "triplet_margin_loss", "adds eps to the sum of powers; no swap", _triplet
    ),
    "triplet_margin_with_distance_loss": Entry("-", "not in Optax"),
    "ctc_loss": Entry(
        "ctc_loss",
        "takes logits and normalises them; 1e5 if no path fits; the true gradient",
        _ctc,
        ("none", "sum"),
    ),
    "adaptive_log_softmax_with_loss": Entry(
        "-", "not in Optax", torch="nn.AdaptiveLogSoftmaxWithLoss"
    ),
}


HEADER = (
    "jaxgrad",
    "torch.nn.functional",
    "Optax",
    "what Optax does differently",
    "cases",
    "jaxgrad - torch",
    "cases in Optax",
    "Optax - torch",
)


def tables() -> list[Table]:
    """The measured table."""
    lines = [
        (
            *map(code, (row.name, row.torch, row.optax)),
            row.differs,
            row.cases,
            row.jaxgrad_difference,
            row.optax_cases,
            row.optax_difference or "-",
        )
        for row in rows()
    ]
    return [Table("Losses", HEADER, lines)]


def rows() -> list[Row]:
    """Measure every loss."""
    return [_row(name, entry) for name, entry in ENTRIES.items()]


def _row(name: str, entry: Entry) -> Row:
    cases = [case for case in FAMILIES["losses"] if case.function == name]
    ours = [(case, in_jaxgrad(case)) for case in cases]
    theirs = [(case, call) for case in cases if (call := _in_optax(case, entry))]
    return Row(
        name,
        entry.torch or name,
        entry.optax,
        entry.differs,
        len(ours),
        largest(ours),
        len(theirs),
        largest(theirs),
    )


def _in_optax(case: Case, entry: Entry) -> Callable[..., Any] | None:
    """The case in Optax; None if it lacks an option or a shape."""
    function, options = entry.function, dict(case.options)
    reduction = options.pop("reduction", "mean")
    if function is None or reduction not in entry.reductions:
        return None
    shapes = {array.shape for array in case.arrays.values()}
    try:
        inspect.signature(function).bind(*case.arrays.values(), **options)
    except TypeError:
        return None
    if len(shapes) > 1 or case.id.endswith("no labels"):
        return None
    return lambda **arrays: REDUCTIONS[reduction](function(*arrays.values(), **options))
