"""What an operation does around one element of an operand: flat, a kink, a slope.

Only the element is moved, and the results are weighted by their cotangents. So the
operation is a function of one number, with the slope that its derivative rule gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.nonfinite.culprit import ELEMENTWISE
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.run.backward import Backward, replaced
from jaxgrad.inspection.run.tape import Entry

# How far the element is moved, relative to its size: from near to far.
OFFSETS = tuple(2.0**k for k in range(-6, 9))
BISECTIONS = 30
# A slope that begins with this fraction of its largest value begins at a kink.
SUDDEN = 0.05
CALLS = frozenset(("jit", "pjit", "custom_jvp_call"))
Shape = Literal["stationary", "moves", "jumps", "kink", "smooth", "constant"]


class Found(NamedTuple):
    """The shape of an operation around an element at which its slope is zero."""

    shape: Shape
    edge: float = 0.0  # Where the flat part ends
    bounded: bool = False  # Whether it is flat again further on


@dataclass(frozen=True)
class Probe:
    """One element of an operand of an operation."""

    entry: Entry
    position: int
    index: tuple[int, ...]
    cotangents: Sequence[Any]  # Of the results, scaled to the size 1
    arrays: Sequence[Any]

    @cached_property
    def at(self) -> float:
        """The element's value."""
        return float(np.real(np.asarray(self.arrays[self.position])[self.index]))

    @cached_property
    def _function(self) -> Any:
        """The operation, compiled: it runs about a hundred times."""
        return jax.jit(self.entry.function)

    @cached_property
    def _entry(self) -> Entry:
        return replace(self.entry, function=self._function, compiled=True)

    @cached_property
    def _backward(self) -> Backward:
        return Backward([])

    @cached_property
    def _elementwise(self) -> bool:
        """Whether each element of a result depends on one element, as in a relu."""
        shape = np.shape(self.arrays[self.position])
        if any(np.shape(v.array) != shape for v in self.entry.outputs):
            return False
        item = self.entry.item
        body = item and item.equation.params.get("call_jaxpr")
        inside = jaxprs.primitives_in(body) if body else {self.entry.primitive}
        return inside <= ELEMENTWISE | CALLS

    @property
    def _size(self) -> float:
        return max(1.0, abs(self.at))

    def _moved(self, x: float) -> list[Any]:
        array = np.array(self.arrays[self.position])
        with np.errstate(over="ignore"):  # an infinite change does not count
            array[self.index] = x
        return replaced(self.arrays, {self.position: jnp.asarray(array)})

    def value(self, x: float) -> float:
        """The results, weighted by the cotangents, with the element at `x`."""
        results = self._function(*self._moved(x))
        pairs: Any = zip(results, self.cotangents, strict=True)
        if self._elementwise:
            pairs = (
                (y[self.index], c if c is None else c[self.index]) for y, c in pairs
            )
        sums = (np.vdot(wide(c), wide(y)) for y, c in pairs if c is not None)
        return float(np.real(sum(sums)))

    def slope(self, x: float) -> float:
        """Its derivative by the operation's rule; 0 where it is not finite."""
        parts = self._backward.pull(self._entry, self._moved(x), self.cotangents)
        slope = float(np.real(np.asarray(parts[self.position])[self.index]))
        return slope if np.isfinite(slope) else 0.0

    def shape(self) -> Found:
        """What the operation does around the element."""
        eps = float(jnp.finfo(self.arrays[self.position].dtype).eps)
        near = self._size * eps**0.5
        left, right = self.slope(self.at - near), self.slope(self.at + near)
        if left and right:
            return Found("stationary")
        here = self.value(self.at)
        sides = [self._side(sign, here) for sign in (-1, 1)]
        if self._moves_without_slope(here):
            return Found("moves")
        sides = [side for side in sides if side is not None]
        if not sides:
            return Found("constant")
        return min(sides, key=lambda side: abs(side.edge - self.at))

    def _moves_without_slope(self, here: float) -> bool:
        """Whether the rule gives zero on both sides although the function changes."""
        ends = [self.at + sign * self._size * OFFSETS[0] for sign in (-1, 1)]
        moves = all(self.value(x) != here for x in ends)
        return moves and not any(self.slope(x) for x in ends)

    def _side(self, sign: int, here: float) -> Found | None:
        """What follows the flat part on one side; None if it never ends."""
        path = [self.at + sign * self._size * offset for offset in OFFSETS]
        first = next((i for i, x in enumerate(path) if self._changed(x, here)), None)
        if first is None:
            return None
        edge = self._edge(path[first - 1] if first else self.at, path[first], here)
        beyond = edge + sign * 0.01 * max(1.0, abs(edge))
        begins = abs(self.slope(beyond))
        steepest = max(begins, *(abs(self.slope(x)) for x in path[first::2]))
        bounded = not self.slope(path[-1])
        if not steepest:
            return Found("jumps", edge, bounded)
        shape: Shape = "kink" if begins > SUDDEN * steepest else "smooth"
        return Found(shape, edge, bounded)

    def _changed(self, x: float, here: float) -> bool:
        value = self.value(x)
        return np.isfinite(value) and (value != here or self.slope(x) != 0)

    def _edge(self, flat: float, changed: float, here: float) -> float:
        for _ in range(BISECTIONS):
            middle = (flat + changed) / 2
            if self._changed(middle, here):
                changed = middle
            else:
                flat = middle
        return flat


def wide(array: Any) -> np.ndarray:
    """An array in double precision."""
    complex_ = jnp.issubdtype(array.dtype, jnp.complexfloating)
    return np.asarray(array).astype(np.complex128 if complex_ else np.float64)
