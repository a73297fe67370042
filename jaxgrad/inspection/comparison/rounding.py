"""How far apart two corresponding arrays may be by rounding alone.

What a step adds is a few units of its dtype, more for long sums. What it inherits is
the measured distance of its inputs, times how much the step amplifies it; the gradients
on both sides of the step tell that.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.comparison.fingerprint import Fingerprint
from jaxgrad.inspection.comparison.nodes import Graph, Node
from jaxgrad.inspection.comparison.operations import ADDING, MOVING

STEP = 16.0  # Units in the last place that one step may differ
SUM = 2.0  # Times the root of the number of terms
INHERITED = 8.0  # What a step may make of a distance, besides amplification
MOST = 1e4  # No step counts as amplifying more
# Functions of `jax.nn` that compute in float32 whatever dtype they are given.
COARSE = {"dot_product_attention"}
AFTER = 256.0  # Units that a step may differ whose inputs differ already


def unit(dtype: Any) -> float:
    """Half the distance from 1 to the next number; 0 for integers and flags."""
    try:
        if not jnp.issubdtype(dtype, jnp.inexact):
            return 0.0
        return float(jnp.finfo(dtype).eps) / 2
    except (TypeError, ValueError):
        return 0.0


def working_unit(graph: Graph) -> float:
    """The unit of the dtype that most floating arguments (or else steps) have."""
    arguments = [n for n in graph.nodes if n.is_argument]
    for nodes in (arguments, graph.nodes):
        units = [unit(node.dtype) for node in nodes if unit(node.dtype)]
        if units:
            values, counts = np.unique(units, return_counts=True)
            return float(values[np.argmax(counts)])
    return 2.0**-24


def pair_unit(
    theirs: Node, ours: Node, working: tuple[float, float], strict: bool = True
) -> float:
    """The precision to expect of both: a cast on one side only does not excuse it.

    Unless strict, a function that computes in float32 inside is excused.
    """
    both = min(unit(theirs.dtype), unit(ours.dtype))
    coarse = not strict and {theirs.operation, ours.operation} & COARSE
    return max(*working, both, unit(np.float32) if coarse else 0.0)


def terms(node: Node, inputs: list[Fingerprint]) -> float:
    """About how many numbers are added up in each element of a step's value."""
    sizes = [p.size for p in inputs if p.size > 0]
    own = max(np.size(node.value) if node.value is not None else 1, 1)
    if not sizes:
        return 1.0
    if node.kind == "matmul" and len(sizes) > 1:
        a, b = sorted(sizes)[-2:]
        return float(max(np.sqrt(a * b / own), 1))
    return float(max(max(sizes) / own, 1))


def amplification(
    node: Node,
    own: tuple[Fingerprint, Fingerprint],
    source: tuple[Fingerprint, Fingerprint],
) -> float:
    """How much a relative distance of an input may grow in the value of `node`.

    `own` and `source` are the fingerprints of value and gradient.
    """
    (value, gradient), (x, slope) = own, source
    if value.scale <= 0 or x.scale <= 0:
        return 1.0
    by_gradient = by_kind = 0.0
    if gradient.size > 0 and slope.size > 0 and gradient.scale > 0:
        norms = _norm(slope) * _norm(x), _norm(gradient) * _norm(value)
        by_gradient = norms[0] / norms[1]
    if node.kind in ADDING:
        count = max(x.size / max(value.size, 1), 1.0)
        total = np.sqrt(count) if node.kind in ("sum", "matmul") else count**-0.5
        by_kind = x.scale * total / value.scale
    elif node.kind not in MOVING and x.size == value.size:
        # sin(x) keeps the absolute distance of x, exp(x) makes it a relative one.
        least = 1.0 if node.kind == "exponential" else np.inf
        by_kind = x.scale / min(value.scale, least)
    return float(np.clip(max(by_gradient, by_kind), 1.0, MOST))


def _norm(p: Fingerprint) -> float:
    return float(p.scale * np.sqrt(max(p.size, 0)))
