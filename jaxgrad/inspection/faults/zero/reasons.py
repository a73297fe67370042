"""Why an operation sends no gradient to an operand.

First by numbers: whether larger or other cotangents pass. Then by the structure of the
operation: a bound, a choice, a product. Last by its shape around one element.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.zero.blocks import Block, reached_by
from jaxgrad.inspection.faults.zero.bounds import by_bound
from jaxgrad.inspection.faults.zero.cause import Cause, Reason
from jaxgrad.inspection.faults.zero.probe import Found, Probe, wide
from jaxgrad.inspection.faults.zero.products import (
    by_product,
    passes,
    passes_without_zeros,
    too_small,
    vanishes,
)
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.run.backward import total
from jaxgrad.inspection.run.tape import Entry

# Operations that pass one of their elements on.
CHOOSING = frozenset(
    "select_n max min reduce_max reduce_min cummax cummin reduce_window_max "
    "reduce_window_min select_and_gather_add sort top_k approx_top_k "
    "scatter_max scatter_min scatter-max scatter-min".split()
)
# An edge closer to zero than this counts as zero.
NEAR_ZERO = 1e-5
# How many elements are tried to find one that is stopped.
TRIED = 16


def cause_of(block: Block) -> Cause | None:
    """Why a block sends nothing back; None if it does not depend on the operand."""
    if block.position is None:
        return Cause("cancelled", block)
    entry = block.entry
    if not any(output.active for output in entry.outputs):
        if block.not_taken:
            return Cause("branch", block)
        stopped = entry.primitive == "stop_gradient"
        return Cause("stopped" if stopped else "integer", block)
    lost = [
        live is not None and live.any() and not output.active
        for live, output in zip(block.live, entry.outputs, strict=True)
    ]
    weighted = _weighted(block)
    if weighted is None:
        return Cause("integer", block) if any(lost) else None
    cause = _of_numbers(block, weighted) or _of_structure(block, weighted)
    return cause or (Cause("cancelled", block) if _is_complex(entry) else None)


def _is_complex(entry: Entry) -> bool:
    """Whether a cotangent may be at right angles to what a real operand changes."""
    return any(jnp.iscomplexobj(output.array) for output in entry.outputs)


def _weighted(block: Block) -> list[Any] | None:
    """The live cotangents, scaled to a size near 1; None if there is none."""
    cotangents = [
        None if live is None else _live(total(output), live)
        for output, live in zip(block.entry.outputs, block.live, strict=True)
    ]
    sizes = [np.abs(c).max(initial=0) for c in cotangents if c is not None]
    largest = max(sizes, default=0)
    if not largest or not np.isfinite(largest):
        return None
    scale = 2.0 ** np.floor(np.log2(largest))  # exact, so that what cancels still does
    pairs = zip(cotangents, block.entry.outputs, strict=True)
    return [
        None if c is None else jnp.asarray((c / scale).astype(v.array.dtype))
        for c, v in pairs
    ]


def _live(cotangent: Any, live: np.ndarray) -> np.ndarray | None:
    return None if cotangent is None else np.where(live, wide(cotangent), 0)


def _of_numbers(block: Block, cotangents: list[Any]) -> Cause | None:
    """Whether larger or other cotangents would pass: underflow, or cancellation."""
    if passes(block, cotangents) or passes(block, _enlarged(cotangents)):
        return Cause("underflow", block)
    if passes(block, [None if c is None else c * _weights(c) for c in cotangents]):
        return Cause("cancelled", block)
    return None


def _enlarged(cotangents: list[Any]) -> list[Any]:
    """The cotangents times a power of two, exactly, so that what cancels still does."""
    return [
        None if c is None else c * 2.0 ** (jnp.finfo(c.dtype).maxexp // 2)
        for c in cotangents
    ]


def _weights(array: Any) -> Any:
    """Numbers between 0.5 and 1.5 without a pattern."""
    numbers = (np.arange(array.size) + 1) * (5**0.5 - 1) / 2 % 1 + 0.5
    return jnp.asarray(numbers.reshape(array.shape), array.dtype)


def _of_structure(block: Block, cotangents: list[Any]) -> Cause | None:
    bounded = by_bound(block)
    if bounded is None and block.entry.primitive in CHOOSING:
        return Cause("branch", block)
    return bounded or by_product(block, cotangents) or _of_shape(block, cotangents)


def _of_shape(block: Block, cotangents: list[Any]) -> Cause | None:
    """What the operation does around one of the elements."""
    entry = block.entry
    assert block.position is not None
    if too_small(block):
        return Cause("underflow", block)
    arrays = [v.array for v in entry.inputs]
    index = _stopped_element(block)
    found = Probe(entry, block.position, index, cotangents, arrays).shape()
    edge = found.edge if found.shape == "kink" else None
    reason = _reason_of(found, block, cotangents)
    return reason and Cause(reason, block, edge=edge, unbounded=not found.bounded)


def _reason_of(found: Found, block: Block, cotangents: list[Any]) -> Reason | None:
    entry = block.entry
    custom = entry.primitive in jaxprs.CUSTOM_RULES
    if found.shape == "stationary":
        return "stationary"
    if sum(v is block.value for v in entry.operands) > 1 and not custom:
        return "cancelled"  # as in x - x
    if found.shape in ("moves", "jumps"):
        own = "underflow" if found.shape == "moves" else "branch"
        return "rule" if custom else own
    if found.shape == "smooth":
        return "underflow" if vanishes(block) else "saturated"
    if found.shape == "kink":
        above = found.bounded and abs(found.edge) > NEAR_ZERO
        return "saturated" if above else "dead"
    if custom:
        return "saturated"
    assert block.position is not None
    saddle = passes_without_zeros(block, cotangents, block.position)
    return "stationary" if saddle else None


def _stopped_element(block: Block) -> tuple[int, ...]:
    """An element of the operand on which a live result depends."""
    candidates = np.argwhere(block.mask)
    for candidate in candidates[:TRIED]:
        given: list[np.ndarray | None] = [None] * len(block.entry.inputs)
        alone = np.zeros_like(block.mask)
        alone[tuple(candidate)] = True
        given[block.position or 0] = alone
        reached = zip(reached_by(block.entry, given), block.live, strict=True)
        if any(live is not None and (r & live).any() for r, live in reached):
            return tuple(candidate.tolist())
    return tuple(candidates[0].tolist())
