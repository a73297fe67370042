"""Search a tape for the operations that stop the gradient of an argument.

The search starts with the elements of an argument whose gradient is zero and follows
what depends on them, towards the result. It passes elements whose cotangent is zero
too: they are stopped later. An operation blocks if it sends nothing back although its
cotangent is not zero, or if its result has no derivative.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.nonfinite.culprit import ELEMENTWISE
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.run.backward import replaced, total
from jaxgrad.inspection.run.replay import Replay
from jaxgrad.inspection.run.tape import Entry, Value

# Operations that only move elements.
MOVING = frozenset(
    "slice dynamic_slice gather concatenate reshape transpose broadcast_in_dim squeeze "
    "expand_dims rev pad dynamic_update_slice scatter split select_and_scatter_add "
    "stack unstack".split()
)
# NaN in an element reaches exactly the results that depend on it.
SPREADING = MOVING | frozenset(
    "dot_general conv_general_dilated reduce_sum reduce_prod reduce_max reduce_min "
    "cumsum cumprod cummax cummin reduce_window_sum reduce_window_max scatter-add "
    "scatter_add scatter_mul scatter-mul".split()
)
# Operations that order elements by size, with NaN at the end.
SORTING = ("sort", "top_k", "approx_top_k")
Masks = dict[int, np.ndarray]


@dataclass(frozen=True, eq=False)
class Block:
    """An operation that sends no gradient to elements of an operand.

    Where parts of a cotangent cancel, `position` is None and `entry` sent one of them.
    """

    entry: Entry
    value: Value  # The operand, or the value whose parts cancel
    mask: np.ndarray  # Which of its elements
    position: int | None = None  # Of the operand
    # For each result which elements have a cotangent and depend on the operand
    live: tuple[np.ndarray | None, ...] = ()
    masks: Masks = field(default_factory=dict)  # What depends on the argument
    # Whether it stands for an operand of a branch that these elements did not take
    not_taken: bool = False


@dataclass(frozen=True)
class Walk:
    """Where a search ended."""

    blocks: list[Block]
    connected: bool  # Whether operations lead from the argument to the result
    last: Entry | None  # The last operation that depends on the argument's elements


def search_blocks(
    replay: Replay, value: Value, mask: np.ndarray, everywhere: bool = False
) -> Walk:
    """What stops the gradient of the elements `mask` of an argument.

    Follows the paths to the result; with `everywhere` also those to a condition.
    """
    needed = _leading_to(replay.outputs[0])
    if everywhere:
        needed |= {id(v) for entry in replay.tape.entries for v in entry.outputs}
    masks: Masks = {id(value): np.asarray(mask)}
    blocks, last = _cancelling(value, masks, None), None
    stand_ins = _stand_ins(replay)
    for entry in replay.tape.entries:
        given = [masks.get(id(v)) for v in entry.inputs]
        if not any(m is not None and m.any() for m in given):
            continue
        if not any(id(output) in needed for output in entry.outputs):
            continue
        last, reached = entry, reached_by(entry, given)
        found = _blocks_at(entry, given, reached, needed, masks)
        if entry.number in stand_ins:
            found = [replace(block, not_taken=True) for block in found]
        for output, elements in zip(entry.outputs, reached, strict=True):
            if id(output) in needed and output.active:
                passed = elements & _chosen(entry, given)
                zero = ~nonzero(total(output), elements.shape)
                masks[id(output)] = np.asarray(passed & zero)
                blocks += _cancelling(output, masks, entry)
        blocks += found
    return Walk(blocks, id(value) in needed, last)


def _stand_ins(replay: Replay) -> set[tuple[int, ...]]:
    """The `stop_gradient`s whose results stand in for their operands in a branch.

    In a vmapped `cond` JAX selects, for the elements that do not take a branch, its
    operands behind a `stop_gradient`.
    """
    makers = (
        (value.maker, entry)
        for entry in replay.tape.entries
        if entry.primitive == "select_n"
        for value in entry.operands[1:]
    )
    return {
        maker.number
        for maker, entry in makers
        if maker is not None
        and maker.primitive == "stop_gradient"
        and maker.inputs[0] in entry.operands[1:]
    }


def _blocks_at(
    entry: Entry,
    given: Sequence[np.ndarray | None],
    reached: Sequence[np.ndarray],
    needed: set[int],
    masks: Masks,
) -> list[Block]:
    """A block for each operand that gets nothing back for a live result."""
    live: list[Any] = []
    for output, elements in zip(entry.outputs, reached, strict=True):
        if not output.active:
            live.append(elements if id(output) in needed else None)
        else:
            sent = nonzero(total(output), elements.shape)
            live.append(np.asarray(elements & sent))
    if not any(each is not None and each.any() for each in live):
        return []
    blocks = []
    for position, mask in enumerate(given):
        if mask is None or not mask.any():
            continue
        if entry.primitive in ELEMENTWISE and live[0].shape == mask.shape:
            mask = np.asarray(mask & live[0])
        if mask.any():
            value = entry.inputs[position]
            blocks.append(Block(entry, value, mask, position, tuple(live), masks))
    return blocks


def _chosen(entry: Entry, given: Sequence[np.ndarray | None]) -> Any:
    """Where `select_n` takes the elements `given`; True for other operations."""
    if entry.primitive != "select_n" or entry.inputs[0] is not entry.operands[0]:
        return True
    index, *cases = (np.asarray(v.array) for v in entry.operands)
    depends = [
        next((m for v, m in zip(entry.inputs, given, strict=True) if v is case), None)
        for case in entry.operands[1:]
    ]
    masks = [
        np.zeros(case.shape, bool) if m is None else m
        for case, m in zip(cases, depends, strict=True)
    ]
    return np.choose(np.broadcast_to(index, masks[0].shape), masks)


def _cancelling(value: Value, masks: Masks, entry: Entry | None) -> list[Block]:
    """A block where parts of a cotangent that are not zero add up to zero."""
    mask = masks[id(value)]
    parts = [nonzero(part, mask.shape) & mask for _, part in value.parts]
    cancelled = np.logical_or.reduce(parts) if parts else np.zeros_like(mask)
    readers = (reader for reader, _ in value.parts if reader is not None)
    entry = next(readers, entry)
    if entry is None or not cancelled.any():
        return []
    masks[id(value)] = np.asarray(mask & ~cancelled)
    return [Block(entry, value, np.asarray(cancelled), masks=masks)]


def reached_by(entry: Entry, given: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """Which elements of each result depend on the elements `given` of the operands."""
    shapes = [np.shape(output.array) for output in entry.outputs]
    alike = [m for m in given if m is not None and m.any()]
    if entry.primitive in ELEMENTWISE and all(m.shape == shapes[0] for m in alike):
        return [np.asarray(np.logical_or.reduce(alike))]
    if entry.primitive in SORTING:
        return [np.ones(shape, bool) for shape in shapes]
    tainted = _tainted(entry, given)
    results = []
    for i, shape in enumerate(shapes):
        exact = tainted is not None and entry.primitive in SPREADING
        reached = np.zeros(shape, bool) if tainted is None else tainted[i]
        if not exact:
            same = [m for m in alike if m.shape == shape]
            reached = np.logical_or.reduce([reached, *same])
            reached = reached if reached.any() else np.ones(shape, bool)
        results.append(np.asarray(reached))
    return results


def nonzero(array: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Which elements are not zero; none if the cotangent is missing."""
    if array is None:
        return np.zeros(shape, bool)
    return np.asarray(np.asarray(array) != 0)


def _tainted(
    entry: Entry, given: Sequence[np.ndarray | None]
) -> list[np.ndarray] | None:
    """Where a NaN in the elements `given` arrives; None if that is not known."""
    new = {}
    for i, (value, mask) in enumerate(zip(entry.inputs, given, strict=True)):
        if mask is not None and jaxprs.is_floating(value.array):
            new[i] = jnp.where(
                mask, jnp.asarray(jnp.nan, value.array.dtype), value.array
            )
    try:
        results = entry.function(*replaced([v.array for v in entry.inputs], new))
    except Exception:  # the user's function or rule does not take NaN
        return None
    pairs = zip(results, entry.outputs, strict=True)
    return [
        np.asarray(_is_nan(array) & ~_is_nan(output.array)) for array, output in pairs
    ]


def _is_nan(array: Any) -> np.ndarray:
    if not jaxprs.is_floating(array):
        return np.zeros(np.shape(array), bool)
    return np.asarray(jnp.isnan(array))


def _leading_to(result: Value) -> set[int]:
    """The ids of all values that a result is computed from."""
    needed, pending = {id(result)}, [result]
    while pending:
        value = pending.pop()
        for operand in value.maker.inputs if value.maker else ():
            if id(operand) not in needed:
                needed.add(id(operand))
                pending.append(operand)
        # A value of a loop is a copy: its maker's own result counts as well.
        if value.maker:
            needed.update(id(v) for v in value.maker.outputs if v.array is value.array)
    return needed
