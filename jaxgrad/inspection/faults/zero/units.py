"""The parts of an argument without a gradient: columns, rows, elements.

Rows that are not in the batch, features that are zero in the data, and units that are
off in one batch are normal. A unit is reported if it cannot recover: saturated, cut by
a custom rule, or dead and far from the kink.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgrad.inspection.faults.zero.argument import Causes, Known, place
from jaxgrad.inspection.faults.zero.blocks import Block, nonzero
from jaxgrad.inspection.faults.zero.cause import Cause
from jaxgrad.inspection.run.tape import Value

# The reasons for which a unit is reported.
CUTS = ("rule", "saturated", "dead")
# How many units of an argument are checked.
MOST = 64
# A unit is dead if it is this many times further from the kink than any active unit is
# on the other side. Even in healthy training some units are off for a whole batch.
FAR = 3.0


class Units(NamedTuple):
    """Units of an argument that are cut at the same step."""

    cause: Cause
    mask: np.ndarray
    path: str  # As the user would index them: `params['w'][:, 2]`
    hopeless: bool  # Whether no usual batch brings them back


def zero_slices(zero: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """By axis, from the last, the indices of the slices that are zero as a whole."""
    for axis in reversed(range(zero.ndim)):
        others = tuple(i for i in range(zero.ndim) if i != axis)
        indices = np.flatnonzero(zero.all(axis=others))
        if len(indices):
            yield axis, indices


def units_of(causes: Causes, value: Value, zero: np.ndarray) -> Iterator[Units]:
    """The slices along one axis that are zero as a whole and cut by an operation."""
    for axis, indices in zero_slices(zero):
        if len(indices) == zero.shape[axis]:
            continue
        together, _ = causes.all_of(value, _slices(zero.shape, axis, indices))
        if any(cause.reason in CUTS for cause in together):
            known = {place(cause.block): cause for cause in together}
            yield from _along(causes, value, axis, indices[:MOST], known)
            return


def _along(
    causes: Causes, value: Value, axis: int, indices: Any, known: Known
) -> Iterator[Units]:
    shape = np.shape(value.array)
    groups: dict[Any, tuple[Cause, list[int]]] = {}
    for index in indices:
        cause = causes.why(value, _slices(shape, axis, [index]), known)
        if cause.reason in CUTS and not cause.normal and cause.entry:
            key = cause.entry.slot, cause.reason, _hopeless(cause)
            groups.setdefault(key, (cause, []))[1].append(int(index))
    for (_, _, hopeless), (cause, units) in groups.items():
        path = _subscript(value.label, len(shape), axis, units)
        yield Units(cause, _slices(shape, axis, units), path, hopeless)


def _hopeless(cause: Cause) -> bool:
    """Whether units are so far from the kink that no usual batch brings them back."""
    if cause.edge is None:
        return True
    return all(_far(block, cause.edge) for block in cause.alike)


def _far(block: Block, edge: float) -> bool:
    distance = np.abs(np.asarray(block.value.array, np.float64) - edge)
    alive = np.logical_or.reduce(
        [nonzero(part, block.mask.shape) for _, part in block.value.parts]
    )
    usual = distance[alive].max(initial=0)
    return bool(usual and distance[block.mask].min() > FAR * usual)


def _slices(shape: tuple[int, ...], axis: int, indices: Any) -> np.ndarray:
    mask = np.zeros(shape, bool)
    np.moveaxis(mask, axis, 0)[indices] = True
    return mask


def _subscript(path: str, ndim: int, axis: int, units: Sequence[int]) -> str:
    """The units as the user would index them: `params['w'][:, 2]`."""
    chosen = str(units[0]) if len(units) == 1 else f"[{', '.join(map(str, units))}]"
    return f"{path}[{', '.join([':'] * axis + [chosen] + [':'] * (ndim - axis - 1))}]"
