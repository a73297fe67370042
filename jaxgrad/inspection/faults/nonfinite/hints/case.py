"""What the rules of hints read: a culprit and the concrete values around it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.nonfinite.culprit import ELEMENTWISE, Culprit
from jaxgrad.inspection.program.labels import constant_label
from jaxgrad.inspection.run.tape import Entry, Tape, Value


class Hint(NamedTuple):
    """A sentence that was checked, and the values that show it, by name."""

    text: str
    shown: Mapping[str, np.ndarray] | None = None  # None for the operands as they are


@dataclass(frozen=True)
class Case:
    """A culprit with an operation, as the rules read it."""

    culprit: Culprit
    tape: Tape
    operation: str  # The step in the user's words
    became: str = ""  # The step that turned infinity into NaN, in the same words
    label: Callable[[Value], str] = field(default=lambda value: value.label)

    @property
    def entry(self) -> Entry:
        """The operation; only an input and a result that is constant have none."""
        assert self.culprit.entry is not None
        return self.culprit.entry

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the non-finite value."""
        return self.culprit.value.array.dtype

    @property
    def bad(self) -> np.ndarray:
        """The non-finite elements of the value or gradient."""
        return np.asarray(self.culprit.value.array)[self.culprit.mask]

    def operands(self) -> list[np.ndarray]:
        """For each operand, the elements behind the bad ones."""
        values, mask = self.entry.operands, self.culprit.mask
        if self.entry.primitive in ELEMENTWISE:
            found = met_together([np.asarray(v.array) for v in values], mask)
        else:
            found = [met(value, mask) for value in values]
        if self.entry.primitive == "integer_pow":  # whose power is a parameter
            found.append(np.asarray(self.entry.params["y"]))
        return found

    def name(self, value: Value) -> str:
        """The user's name of a value; "" for a constant without a name."""
        label = self.label(value)
        return "" if label == constant_label(value.array) else label

    def of_the_step(self) -> list[Entry]:
        """The operations of the same step and iteration."""
        here = self.entry.slot, self.entry.iteration
        return [e for e in self.tape.entries if (e.slot, e.iteration) == here]


def met(value: Value, mask: np.ndarray) -> np.ndarray:
    """The elements at `mask`; all if the array has another shape, none of keys."""
    if jnp.issubdtype(value.array.dtype, jax.dtypes.extended):
        return np.zeros(0)
    array = np.asarray(value.array)
    pairs = list(zip(array.shape, mask.shape, strict=False))
    if array.ndim == mask.ndim and all(a in (1, b) for a, b in pairs):
        array = np.broadcast_to(array, mask.shape)  # as of a divisor
    return array[mask] if array.shape == mask.shape else array.reshape(-1)


def met_together(arrays: list[np.ndarray], mask: np.ndarray) -> list[np.ndarray]:
    """The elements at `mask` of operands, some of them scalars, perhaps by shard."""
    ranks = max(array.ndim for array in (*arrays, mask))
    every = [a.reshape(a.shape + (1,) * (ranks - a.ndim)) for a in (*arrays, mask)]
    *arrays, mask = np.broadcast_arrays(*every)
    return [array[mask] for array in arrays]


def first(mask: np.ndarray) -> str:
    """The index of the first true element: `[0, 1]`, or "" for a scalar."""
    if mask.ndim == 0:
        return ""
    index = np.unravel_index(int(mask.reshape(-1).argmax()), mask.shape)
    return f"[{', '.join(map(str, map(int, index)))}]"
