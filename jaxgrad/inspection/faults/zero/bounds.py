"""Constants that an operation takes instead of its operand: a relu, a clip.

`max(x, c)`, `min(x, c)` and `where(x > c, x, c)` are flat on one side. At c = 0 it is
a relu, whose negative side is dead; elsewhere, or if both sides are bounded in one
step, it is a clip, which is saturated.
"""

import numpy as np

from jaxgrad.inspection.faults.describe import SAME_ELEMENTS
from jaxgrad.inspection.faults.zero.blocks import Block
from jaxgrad.inspection.faults.zero.cause import Cause
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.run.tape import Entry, Value

BOUNDS = ("max", "min", "clamp")


def by_bound(block: Block) -> Cause | None:
    """The cause if the operation takes a constant instead of the operand."""
    primitive = block.entry.primitive
    bound = None
    if primitive in BOUNDS:
        bound = _bound(block)
    elif primitive == "select_n":
        bound = _bound_of_select(block)
    if bound is None:
        return None
    dead = bound == 0 and not _bounded_twice(block.entry)
    return Cause("dead" if dead else "saturated", block, edge=bound)


def _bound(block: Block) -> float | None:
    """The constant that `max`, `min` or `clamp` takes instead of the operand."""
    entry = block.entry
    others = [v for v in entry.operands if v is not block.value]
    if entry.primitive == "clamp":
        return np.inf  # of two sides
    if any(map(_is_array, others)) and not _bounded_twice(entry):
        return None  # the larger of two arrays, not a bound
    bounds = {_constant(v) for v in others} - {None}
    return bounds.pop() if len(bounds) == 1 and len(others) == 1 else None


def _is_array(value: Value) -> bool:
    """Whether it is an argument that is an array, also one without axes."""
    source = original(value)
    return source.kind == "input" and not getattr(source.array, "weak_type", False)


def _bound_of_select(block: Block) -> float | None:
    """The constant by which a `where` bounds its own operand: where(x > c, x, c)."""
    entry = block.entry
    predicate, *cases = entry.operands or entry.inputs
    constants = {_constant(v) for v in cases if v is not block.value} - {None}
    maker = original(predicate).maker
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
    """The number in all elements of a value that no derivative passes through.

    An array among the arguments is not a bound, whatever its elements are in this call.
    """
    array = np.asarray(value.array)
    if value.active or not jaxprs.is_floating(value.array) or not array.size:
        return None
    if array.ndim and original(value).kind == "input" and original(value).array.ndim:
        return None
    first = array.reshape(-1)[0]
    return float(np.real(first)) if (array == first).all() else None


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


def original(value: Value) -> Value:
    """The value before a library cast, broadcast or reshaped it."""
    while value.maker and value.maker.primitive in SAME_ELEMENTS:
        value = value.maker.operands[0]
    return value
