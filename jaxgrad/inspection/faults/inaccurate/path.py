"""The walk from a wrong number back to the operation that lost its digits.

At each operation the error of an element is, to first order, the error that it adds
itself and a part from every element that it reads. The walk follows the largest part.
The operation to blame is the one on the way at which the relative error grew most: a
difference of nearly equal numbers, not the roundings that it enlarges.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.inaccurate import wide
from jaxgrad.inspection.faults.inaccurate.twin import Loop, Operation, Pair, Pass
from jaxgrad.inspection.program import jaxprs

Index = tuple[int, ...]
HUGE = 1e200  # The error of an overflow
# A part of an error counts if it is not much smaller than the largest part.
COUNTS = 0.1
# The walk ends where the error is this much smaller than at the result.
DONE = 1 / 30
MOST_STEPS = 400


@dataclass(frozen=True, eq=False)
class Place:
    """An element of a value."""

    pair: Pair
    index: Index

    @property
    def error(self) -> float:
        """The relative error; 1 if no digit is right."""
        return relative_error(self.pair.own[self.index], self.pair.true[self.index])


@dataclass(frozen=True, eq=False)
class Stage:
    """An operation on the way, and how it changed the error of an element."""

    operation: Operation
    place: Place
    before: float  # The relative error of what it reads
    local: float  # The part of the result's error that it added itself, from 0 to 1
    read: tuple[Place, ...] = ()  # The elements that the error came from

    @property
    def growth(self) -> float:
        """By which factor the relative error grew."""
        return self.place.error / max(self.before, eps_of(self.place.pair) / 2)


def relative_error(own: Any, true: Any) -> float:
    """The error relative to the larger of both numbers, so at most 2."""
    own, true = complex(np.asarray(own)), complex(np.asarray(true))
    if own == true or (np.isnan(own) and np.isnan(true)):
        return 0.0
    size = max(abs(own), abs(true))
    return abs(own - true) / size if np.isfinite(size) else 1.0


def eps_of(pair: Pair) -> float:
    """The unit of the last place of a value's own dtype."""
    return float(jnp.finfo(pair.own.dtype).eps)


def worst(pair: Pair) -> Place:
    """The element with the largest error."""
    size = np.nan_to_num(np.abs(pair.error), nan=HUGE, posinf=HUGE)
    return Place(pair, tuple(map(int, np.unravel_index(size.argmax(), size.shape))))


def walk(output: Pair) -> list[Stage]:
    """The operations on the way back from the worst element, the last one first."""
    place: Place | None = worst(output)
    stages: list[Stage] = []
    start = place.error
    for _ in range(MOST_STEPS):
        place = before_loops(place)
        if place is None or not isinstance(place.pair.maker, Operation):
            break
        stage = stage_of(place.pair.maker, place)
        stages.append(stage)
        if stage.local > 0.5 or not stage.read:
            break
        place = stage.read[0]
        if place.error < DONE * start:
            break
    return stages


def before_loops(place: Place | None) -> Place | None:
    """The same element inside the pass that made it, or outside of the loop."""
    while place is not None:
        maker = place.pair.maker
        if isinstance(maker, Loop):
            place = _into(maker, place)
        elif isinstance(maker, Pass):
            place = _out_of(maker, place)
        else:
            break
    return place


def _into(loop: Loop, place: Place) -> Place | None:
    """From a result of a loop to the pass that made it."""
    position, index = place.pair.position, place.index
    if not loop.order:
        return None
    if position < len(loop.sizes):
        return _last_change(loop, len(loop.order), place)
    return Place(loop.open(index[0])[position], index[1:])


def _out_of(passing: Pass, place: Place) -> Place | None:
    """From an input of a pass to what gave it."""
    loop = passing.loop
    if passing.whole is not None:
        return Place(passing.whole, (passing.index, *place.index))
    if passing.step == 0:
        return Place(loop.operands.carry[passing.position], place.index)
    position = passing.position
    own, true = loop.before(passing.step)[position]
    before = Place(Pair(own, true, position=position), place.index)
    return _last_change(loop, passing.step, before)


def _last_change(loop: Loop, step: int, place: Place) -> Place:
    """The pass before `step` that changed the error of a carry, as its result."""
    position = place.pair.position
    error, size = loop.sizes[position]
    with np.errstate(all="ignore"):
        ratio = np.nan_to_num(error / size, nan=0.0, posinf=1.0)
    least = np.nan_to_num(np.abs(place.pair.error).max(initial=0), posinf=HUGE)
    scale = np.abs(np.asarray(place.pair.true)).max(initial=0)
    here = least / scale if scale else 1.0
    first = step - 1
    while first > 0 and ratio[first] >= min(here, 1.0) / 4:
        first -= 1
    result = loop.open(loop.order[first])[position]
    same = first == step - 1 and relative_error(
        result.own[place.index], result.true[place.index]
    )
    return Place(result, place.index) if same else worst(result)


def stage_of(operation: Operation, place: Place) -> Stage:
    """What an operation did to the error of an element of its result."""
    parts = sorted(_parts(operation, place), key=lambda part: -part[0])
    if not any(size for size, _ in parts):  # as in max(1.0, x) if x overflows
        parts = sorted(_parts(operation, place, own=True), key=lambda part: -part[0])
    largest = parts[0][0] if parts else 0.0
    counting = tuple(p for size, p in parts if size and size >= COUNTS * largest)
    local = _local(operation, place)
    before = max((p.error for p in counting), default=0.0) if local <= 0.5 else 0.0
    return Stage(operation, place, before, local, counting)


def _local(operation: Operation, place: Place) -> float:
    """The part of an error that the operation itself added."""
    position, index = place.pair.position, place.index
    error = abs(complex(place.pair.error[index]))
    try:
        arrays = [wide.widened(x.own) for x in operation.inputs]
        exact = operation.function(*arrays)[position][index]
    except Exception:
        return 0.0
    own = complex(wide.widened(place.pair.own)[index])
    with np.errstate(all="ignore"):
        added = abs(own - complex(exact))
    if not np.isfinite(added):
        return 1.0 if np.isfinite(complex(exact)) else 0.0
    return min(added / error, 1.0) if np.isfinite(error) and error else 0.0


def _parts(
    operation: Operation, place: Place, own: bool = False
) -> Iterator[tuple[float, Place]]:
    """The part of each operand in the error of an element, and its worst element.

    To first order around the true operands, or around the program's own.
    """
    inputs = operation.inputs
    chosen = [i for i, x in enumerate(inputs) if jaxprs.is_floating(x.own)]
    for i, slope in zip(chosen, _slopes(operation, chosen, place, own), strict=True):
        pair = inputs[i]
        error = np.nan_to_num(np.abs(pair.error), nan=HUGE, posinf=HUGE)
        with np.errstate(all="ignore"):
            part = np.where(error == 0, 0.0, np.abs(slope) * error)
        part = np.nan_to_num(part, nan=HUGE, posinf=HUGE)
        if part.size:
            at = tuple(map(int, np.unravel_index(part.argmax(), part.shape)))
            yield float(part[at]), Place(pair, at)


def _slopes(
    operation: Operation, chosen: Sequence[int], place: Place, own: bool
) -> Sequence[np.ndarray]:
    """The derivatives of an element with respect to the floating operands."""
    arrays = [wide.widened(x.own) if own else x.true for x in operation.inputs]

    def element(*some: Any) -> Any:
        given = dict(zip(chosen, some, strict=True))
        new = [given.get(i, array) for i, array in enumerate(arrays)]
        return operation.function(*new)[place.pair.position]

    some = [arrays[i] for i in chosen]
    try:
        result, back = jax.vjp(element, *some)
        cotangent = jnp.zeros_like(result).at[place.index].set(1)
        return [np.asarray(x) for x in back(cotangent)]
    except Exception:  # no derivative: any element may have led to this one
        return [np.ones(np.shape(x)) for x in some]
