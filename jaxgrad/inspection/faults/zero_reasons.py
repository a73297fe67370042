"""Why an operation sends no gradient to an operand, in one word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.blocked import Block, nonzero, reached_by
from jaxgrad.inspection.faults.describe import SAME_ELEMENTS
from jaxgrad.inspection.faults.probe import Found, Probe, wide
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.run.backward import Backward, replaced, total
from jaxgrad.inspection.run.tape import Entry, Value

Reason = Literal[
    "rule",
    "saturated",
    "dead",
    "underflow",
    "stationary",
    "multiplied",
    "branch",
    "cancelled",
    "stopped",
    "integer",
    "unconnected",
]
# Of several reasons the first is reported.
ORDER: Sequence[Reason] = get_args(Reason)
# A part of an argument is reported for these only.
CUTS = ("rule", "dead", "saturated")
BOUNDS = ("max", "min", "clamp")
# They pass one of their elements on.
CHOOSING = frozenset(
    "select_n max min reduce_max reduce_min cummax cummin reduce_window_max "
    "reduce_window_min select_and_gather_add sort top_k approx_top_k "
    "scatter_max scatter_min scatter-max scatter-min".split()
)
PRODUCTS = frozenset("mul dot_general conv_general_dilated div reduce_prod".split())
# A result of 0 from operands that are not 0 is too small for the dtype.
NEVER_ZERO = frozenset("mul div exp exp2 integer_pow square reduce_prod".split())
EXPONENTIALS = ("exp", "exp2")
SUMS = frozenset("add sub add_any reduce_sum log1p".split())
# Bigger than this, a gradient that a move brings back is more than rounding.
ROUNDING = 1e-5
# An edge as close as this is at zero.
NEAR_ZERO = 1e-5
# How many elements are looked at to find one that is stopped.
TRIED = 16


@dataclass(frozen=True, eq=False)
class Cause:
    """Why a gradient is zero, and the block; None if nothing leads to the result."""

    reason: Reason
    block: Block | None = None
    entry: Entry | None = None  # The operation to name
    zero: Value | None = None  # For a product, the factor that is zero
    edge: float | None = None  # Where a flat part ends at a kink
    unbounded: bool = False  # Whether a saturated function has one flat side only
    normal: bool = False  # Whether there is nothing to mend
    alike: tuple[Block, ...] = ()  # The same operation in all iterations

    @property
    def clips(self) -> bool:
        """Whether it is a bound."""
        return self.reason == "saturated" and self.edge is not None


def cause_of(block: Block) -> Cause | None:
    """Why a block sends nothing back; None if it depends on nothing of the operand."""
    if block.position is None:
        return Cause("cancelled", block)
    entry = block.entry
    if not any(output.active for output in entry.outputs):
        stopped = entry.primitive == "stop_gradient"
        return Cause("stopped" if stopped else "integer", block)
    lost = [
        live is not None and live.any() and not output.active
        for live, output in zip(block.live, entry.outputs, strict=True)
    ]
    weighted = _weighted(block)
    if weighted is None:
        return Cause("integer", block) if any(lost) else None
    return _of_numbers(block, weighted) or _of_structure(block, weighted)


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
    if _passes(block, cotangents):
        return Cause("underflow", block)
    if _passes(block, [None if c is None else c * _weights(c) for c in cotangents]):
        return Cause("cancelled", block)
    return None


def _passes(
    block: Block, cotangents: Sequence[Any], arrays: Sequence[Any] | None = None
) -> bool:
    entry, position = block.entry, block.position
    assert position is not None
    arrays = [v.array for v in entry.inputs] if arrays is None else arrays
    part = Backward([]).pull(entry, arrays, cotangents).get(position)
    return bool((nonzero(part, block.mask.shape) & block.mask).any())


def _weights(array: Any) -> Any:
    """Numbers between 0.5 and 1.5 without a pattern."""
    numbers = (np.arange(array.size) + 1) * (5**0.5 - 1) / 2 % 1 + 0.5
    return jnp.asarray(numbers.reshape(array.shape), array.dtype)


def _of_structure(block: Block, cotangents: list[Any]) -> Cause | None:
    primitive = block.entry.primitive
    if primitive in BOUNDS and (bound := _bound(block)) is not None:
        return _bounded(block, bound)
    if primitive == "select_n" and (bound := _bound_of_select(block)) is not None:
        return _bounded(block, bound)
    if primitive in CHOOSING:
        return Cause("branch", block)
    return _product(block, cotangents) or _of_shape(block, cotangents)


def _product(block: Block, cotangents: list[Any]) -> Cause | None:
    """Whether a factor is zero without which a gradient would pass."""
    for i, other in enumerate(block.entry.inputs):
        if i == block.position or not _passes_without_zeros(block, cotangents, i):
            continue
        if other.active and id(other) in block.masks and block.masks[id(other)].any():
            return Cause("stationary", block, zero=other)
        return _by_zero(block, other)
    literals = [v for v in block.entry.operands if v.kind == "literal"]
    if block.entry.primitive in PRODUCTS and literals:
        return _by_zero(block, literals[0])
    return None


def _by_zero(block: Block, zero: Value) -> Cause:
    array = np.asarray(zero.array)
    flushed = ((array != 0) & _is_zero(array)).any()
    reason = "underflow" if flushed or _underflowed(zero) else "multiplied"
    return Cause(reason, block, zero=zero)


def _passes_without_zeros(block: Block, cotangents: list[Any], position: int) -> bool:
    """Whether a gradient passes once the zeros of an operand are ones."""
    array = block.entry.inputs[position].array
    if not jaxprs.is_floating(array) or not _is_zero(array).any():
        return False
    filled = jnp.where(_is_zero(array), jnp.ones_like(array), array)
    arrays = [v.array for v in block.entry.inputs]
    return _passes(block, cotangents, replaced(arrays, {position: filled}))


def _is_zero(array: Any) -> np.ndarray:
    """Which elements are zero to the processor, which flushes subnormal numbers."""
    array = np.asarray(array)
    return np.abs(array) < jnp.finfo(array.dtype).tiny


def _underflowed(value: Value) -> bool:
    """Whether all zeros of a value are results too small for the dtype."""
    value = _original(value)
    if value.maker is None or value.maker.primitive not in NEVER_ZERO:
        return False
    operands = [v for v in value.maker.operands if jaxprs.is_floating(v.array)]
    zeros = [v for v in operands if (np.asarray(v.array) == 0).any()]
    return value.maker.primitive in EXPONENTIALS or all(map(_underflowed, zeros))


def _original(value: Value) -> Value:
    """What a library only widened, cast or reshaped."""
    while value.maker and value.maker.primitive in SAME_ELEMENTS:
        value = value.maker.operands[0]
    return value


def _of_shape(block: Block, cotangents: list[Any]) -> Cause | None:
    """What the operation does around one of the elements."""
    entry = block.entry
    assert block.position is not None
    if _too_small(block):
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
        return "rule" if custom else "branch"
    if found.shape == "smooth":
        return "underflow" if _vanishes(block) else "saturated"
    if found.shape == "kink":
        above = found.bounded and abs(found.edge) > NEAR_ZERO
        return "saturated" if above else "dead"
    if custom:
        return "saturated"
    assert block.position is not None
    saddle = _passes_without_zeros(block, cotangents, block.position)
    return "stationary" if saddle else None


def _too_small(block: Block) -> bool:
    """Whether a product of numbers that are not zero is too small for the dtype."""
    entry, array = block.entry, np.asarray(block.value.array)
    made = [np.asarray(v.array) for v in entry.outputs]
    product = entry.primitive in NEVER_ZERO and entry.primitive not in EXPONENTIALS
    zero = all((y == 0).all() for y in made)
    return product and zero and bool((array[block.mask] != 0).all())


def _vanishes(block: Block) -> bool:
    """Whether a result underflows to zero and is not added to anything else."""
    entry = block.entry
    if entry.primitive not in NEVER_ZERO:
        return False
    readers = (reader for output in entry.outputs for reader, _ in output.parts)
    return not any(
        reader is not None
        and reader.primitive in SUMS
        and any(nonzero(v.array, np.shape(v.array)).any() for v in reader.outputs)
        for reader in readers
    )


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
            return tuple(candidate)
    return tuple(candidates[0])


def _bound(block: Block) -> float | None:
    """The constant that `max`, `min` or `clamp` takes instead of the operand."""
    entry = block.entry
    others = [v for v in entry.operands if v is not block.value]
    if entry.primitive == "clamp":
        return np.inf  # of two sides
    bounds = {_constant(v) for v in others} - {None}
    return bounds.pop() if len(bounds) == 1 and len(others) == 1 else None


def _bound_of_select(block: Block) -> float | None:
    """The constant by which a `where` bounds its own operand: where(x > c, x, c)."""
    entry = block.entry
    predicate, *cases = entry.operands or entry.inputs
    constants = {_constant(v) for v in cases if v is not block.value} - {None}
    maker = _original(predicate).maker
    compared = maker.operands if maker else []
    limits = {_constant(v) for v in compared} - {None}
    chosen = np.asarray(block.value.array)[block.mask]
    own = any(
        np.shape(v.array) == block.mask.shape
        and np.array_equal(np.asarray(v.array)[block.mask], chosen)
        for v in compared
    )
    same = constants == limits and len(limits) == 1
    return constants.pop() if own and same else None


def _constant(value: Value) -> float | None:
    """The number in all elements of a value that no derivative passes through."""
    array = np.asarray(value.array)
    if value.active or not jaxprs.is_floating(value.array) or not array.size:
        return None
    first = array.reshape(-1)[0]
    return float(np.real(first)) if (array == first).all() else None


def _bounded(block: Block, bound: float) -> Cause:
    dead = bound == 0 and not _bounded_twice(block.entry)
    return Cause("dead" if dead else "saturated", block, edge=bound)


def _bounded_twice(entry: Entry) -> bool:
    """Whether the other side is bounded as well, in the same step."""
    readers = [r for output in entry.outputs for r, _ in output.parts if r is not None]
    makers = [value.maker for value in entry.inputs if value.maker is not None]
    return any(
        other.primitive in BOUNDS
        and other.primitive != entry.primitive
        and other.slot == entry.slot
        for other in (*readers, *makers)
    )
