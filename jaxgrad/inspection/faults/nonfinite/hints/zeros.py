"""Why a factor or a cotangent is 0: a branch not taken, a factor, a value not used.

0 * inf = NaN, so the remedy for an infinity that should not count depends on what made
the 0. A reason is given only where the run shows it at every element in question.
"""

from collections.abc import Iterator
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._types import Array
from jaxgrad.inspection.faults.nonfinite.culprit import ELEMENTWISE, finite
from jaxgrad.inspection.faults.nonfinite.hints.case import met_together
from jaxgrad.inspection.program.blocks import CallSite
from jaxgrad.inspection.program.frames import is_library, is_machinery
from jaxgrad.inspection.run.backward import replaced, total
from jaxgrad.inspection.run.tape import Entry, Value

Reason = Literal["deselected", "factor", "dropped", "other"]
# JAX's functions that select what the user tells them to, with their helpers.
SELECTING = frozenset(
    "where _where select piecewise _piecewise wrapped new_func broadcast_arrays "
    "promote_dtypes".split()
)
PASSING = ELEMENTWISE | frozenset(
    "broadcast_in_dim reshape squeeze expand_dims transpose reduce_sum rev pad".split()
)
# Operations that leave elements out.
DROPPING = frozenset("slice dynamic_slice gather unstack".split())
# How many operations to follow.
FAR = 200


def zero_reason(value: Value, mask: np.ndarray, backward: bool) -> Reason:
    """Why elements of a value, or of its cotangent, are 0; "other" if unsure."""
    walk = _of_cotangent if backward else _of_value
    reasons = set(walk(value, mask, set()))
    return reasons.pop() if len(reasons) == 1 else "other"


def selects_for_user(entry: Entry) -> bool:
    """Whether a select is one that the user wrote: `where`, `cond`, `lax.select`."""
    own, outer = entry.own_site, entry.site
    if entry.primitive != "select_n" or own is None or outer is None:
        return False
    if outer.user is None:
        return False
    names = {*_library_names(outer, outer.user + 1)}
    if own.user is None:
        names |= {*_library_names(own, 0)}
    return names <= SELECTING


def _library_names(site: CallSite, start: int) -> Iterator[str]:
    for frame in site.frames[start:]:
        file = frame.code.co_filename
        if is_library(file) and not is_machinery(file):
            yield frame.code.co_name


def _of_cotangent(value: Value, mask: np.ndarray, seen: set[int]) -> Iterator[Reason]:
    """Follow a cotangent of 0 to the operations that made it 0."""
    if id(value) in seen or len(seen) > FAR:
        return
    seen.add(id(value))
    for reader, sent in value.parts:
        if reader is None or np.shape(sent) != mask.shape:
            yield "other"
        elif (np.asarray(sent)[mask] != 0).any():
            yield "other"
        elif reader.moves:
            yield from _of_moved_cotangent(value, reader, mask, seen)
        else:
            yield from _of_reader(value, reader, mask, seen)


def _of_moved_cotangent(
    value: Value, reader: Entry, mask: np.ndarray, seen: set[int]
) -> Iterator[Reason]:
    place = reader.place(value)
    if place is not None:
        (whole,) = reader.outputs
        placed = np.zeros(np.shape(whole.array), bool)
        placed[place] = mask
        yield from _of_cotangent(whole, placed, seen)
        return
    for row, at in zip(reader.rows, reader.places, strict=True):
        if mask[at].any():
            yield from _of_cotangent(row, np.asarray(mask[at]), seen)


def _of_reader(
    value: Value, reader: Entry, mask: np.ndarray, seen: set[int]
) -> Iterator[Reason]:
    if reader.primitive == "select_n" and _deselects(reader, value, mask):
        yield "deselected" if selects_for_user(reader) else "other"
        return
    factor = _multiplied_by_zero(reader, value, mask)
    reached = _reached(reader, value, mask)
    pairs = zip(reader.outputs, reached, strict=False)  # [] where it is not known
    used = [(output, elements) for output, elements in pairs if elements.any()]
    if not used:
        dropped = reader.primitive in DROPPING and bool(reached)
        yield "factor" if factor else "dropped" if dropped else "other"
    for output, elements in used:
        cotangent = total(output)
        known = cotangent is not None and np.shape(cotangent) == elements.shape
        if known and (np.asarray(cotangent)[elements] == 0).all():
            before = set(_of_cotangent(output, elements, seen))
            if factor and before != {"deselected"}:
                yield "factor"
            else:
                yield from before
        else:
            yield "factor" if factor else "other"


def _reached(reader: Entry, value: Value, mask: np.ndarray) -> list[np.ndarray]:
    """Which elements of each result depend on the elements `mask`; [] if not known."""
    output = reader.outputs[0]
    if reader.primitive in ELEMENTWISE and np.shape(output.array) == mask.shape:
        return [mask]
    position = next(i for i, each in enumerate(reader.inputs) if each is value)
    arrays = [finite(each.array) for each in reader.inputs]

    def results(x: Array) -> list[Array]:
        return reader.function(*replaced(arrays, {position: x}))

    x = arrays[position]
    try:
        _, tangents = jax.jvp(results, (x,), (jnp.asarray(mask, x.dtype),))
    except Exception:  # the user's rule raised
        return []
    zeros = (t.dtype == jax.dtypes.float0 for t in tangents)
    return [
        np.zeros(t.shape, bool) if zero else np.asarray(t != 0)
        for t, zero in zip(tangents, zeros, strict=True)
    ]


def _deselects(entry: Entry, value: Value, mask: np.ndarray) -> bool:
    """Whether a select takes other operands than `value` at all elements `mask`."""
    which, *cases = entry.operands
    positions = [i for i, case in enumerate(cases) if case is value]
    shape, taken = np.shape(which.array), np.asarray(which.array).astype(int)
    if shape not in ((), mask.shape):
        return False
    return not np.isin(taken[mask] if shape else taken, positions).any()


def _multiplied_by_zero(entry: Entry, value: Value, mask: np.ndarray) -> bool:
    if entry.primitive not in ("mul", "dot_general"):
        return False
    factors = [np.asarray(v.array) for v in entry.operands if v is not value]
    if entry.primitive == "dot_general":
        return any((factor == 0).any() for factor in factors)
    # On an axis of length 1, an element multiplies several of the other factor's.
    return any((met_together([f], mask)[0] == 0).all() for f in factors)


def _of_value(value: Value, mask: np.ndarray, seen: set[int]) -> Iterator[Reason]:
    """Follow a value of 0 to what made it 0."""
    entry = value.maker
    if entry is None or len(seen) > FAR:
        yield "factor"
        return
    seen.add(id(value))
    if entry.primitive == "select_n":
        yield from _of_selected(entry, mask, seen)
        return
    if entry.primitive == "mul" or entry.primitive in PASSING:
        for operand in entry.operands:
            array = np.asarray(operand.array)
            same = array.shape == mask.shape
            if (array[mask] == 0).all() if same else jnp.all(array == 0):
                at = mask if same else np.ones(array.shape, bool)
                yield from _of_value(operand, at, seen)
                return
    yield "factor"


def _of_selected(entry: Entry, mask: np.ndarray, seen: set[int]) -> Iterator[Reason]:
    """A backward select gives 0 to the branch that the forward one did not take."""
    which, *cases = entry.operands
    taken = np.asarray(which.array).astype(int)
    taken = np.unique(taken[mask] if taken.shape else taken)
    chosen = cases[int(taken[0])] if taken.size == 1 else None
    if chosen is None:
        yield "other"
    elif _is_backward(entry) and _is_blank(chosen):
        yield "deselected" if selects_for_user(entry) else "other"
    elif np.shape(chosen.array) == mask.shape:
        yield from _of_value(chosen, mask, seen)
    else:
        yield "other"


def _is_backward(entry: Entry) -> bool:
    return any(
        site is not None and site.backward for site in (entry.site, entry.own_site)
    )


def _is_blank(value: Value) -> bool:
    """Whether a value is a constant 0 of the program."""
    while value.maker is not None and value.maker.primitive == "broadcast_in_dim":
        value = value.maker.operands[0]
    return value.kind in ("literal", "constant") and not np.any(value.array)
