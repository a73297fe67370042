"""From a culprit to a `Blame` in the user's terms.

Describing runs the user's functions again, which may raise. Each part of a description
is guarded by itself, so that the step, the phase and the line always come out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.culprit import Culprit, blame_forward, influence
from jaxgrad.inspection.faults.describe import (
    Describer,
    guarded,
    iteration_of,
    line_of,
)
from jaxgrad.inspection.faults.hints import hint
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Builder
from jaxgrad.inspection.program.failures import NEEDS_VALUE
from jaxgrad.inspection.report.data import Source
from jaxgrad.inspection.report.explanation import Blame
from jaxgrad.inspection.run.backward import Backward
from jaxgrad.inspection.run.tape import Entry, Value, first_made, run_on_tape

# How many elements of an operand a blame keeps; the text shows fewer, and says so.
KEPT = 100


@dataclass(frozen=True)
class BlameWriter:
    """Describes culprits as blames."""

    names: Describer

    def write(self, culprit: Culprit) -> Blame:
        """The blame of a culprit."""
        is_input = culprit.phase == "input"
        entry = None if is_input else culprit.entry
        step = guarded(lambda: self.names.step(entry), None)
        line = guarded(lambda: _line_in_rule(culprit, self.names.tape.builder), None)
        operation = step.operation if step else ""
        return Blame(
            phase=culprit.phase,
            step=step,
            argument=culprit.value.label if is_input else None,
            iteration=iteration_of(entry),
            count=int(culprit.mask.sum()),
            operands=self._operands(culprit),
            hint=guarded(lambda: hint(culprit, operation), ""),
            primitive=entry.primitive if entry else "",
            source=line or line_of(entry, step),
            shard=guarded(lambda: entry.shard_of(culprit.mask) if entry else "", ""),
            became=guarded(lambda: self.names.step(culprit.became), None),
        )

    def _operands(self, culprit: Culprit) -> dict[str, np.ndarray]:
        """By name, the elements of the operands that met at the non-finite elements."""
        shown: dict[str, np.ndarray] = {}
        for describe in self._parts(culprit):
            label, elements = guarded(describe, ("", np.zeros(0)))
            alike = sum(name.split(" (")[0] == label for name in shown)
            if elements.size:
                shown[f"{label} ({alike + 1})" if alike else label] = elements
        return shown

    def _parts(self, culprit: Culprit) -> list[Callable[[], tuple[str, np.ndarray]]]:
        """For each operand a function that gives its label and its elements."""
        entry, mask, value = culprit.entry, culprit.mask, culprit.value

        def part(label: str, array: Any) -> Callable[[], tuple[str, np.ndarray]]:
            return lambda: (label, _selected(array, mask))

        if entry is None or culprit.phase in ("input", "constant"):
            return [part(value.label, value.array)]
        if culprit.adding:
            sent = enumerate(value.parts)
            return [part(f"cotangent {i}", array) for i, (_, array) in sent]
        several, positions = len(culprit.cotangents) > 1, range(len(entry.inputs))
        return [
            *(partial(self._operand, culprit, entry, i) for i in positions),
            *(
                part(f"cotangent of result {i}" if several else "cotangent", c)
                for i, c in enumerate(culprit.cotangents)
                if c is not None
            ),
        ]

    def _operand(
        self, culprit: Culprit, entry: Entry, position: int
    ) -> tuple[str, np.ndarray]:
        value, reached = entry.inputs[position], culprit.mask
        again = any(value is other for other in entry.inputs[:position])
        if again or jnp.issubdtype(value.array.dtype, jax.dtypes.extended):
            return "", np.zeros(0)  # a key has no elements to show
        if np.shape(value.array) != reached.shape and jaxprs.is_floating(value.array):
            if culprit.phase == "backward":
                reached = np.ones(np.shape(value.array), bool)
            else:
                outputs = enumerate(entry.outputs)
                output = next(i for i, v in outputs if v is culprit.value)
                reached = influence(entry, position, output, reached)
        label = self.names.label(value) or f"operand {position} of {entry.primitive}"
        return label, _selected(value.array, reached)


def _selected(array: Any, mask: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.shape != mask.shape:
        return array.reshape(-1)[:KEPT]
    return array[mask][:KEPT]


def _line_in_rule(culprit: Culprit, builder: Builder) -> Source | None:
    """The user's line inside the rule of a custom derivative that made it."""
    entry = culprit.entry
    if entry is None or entry.primitive not in jaxprs.RUNNING or culprit.adding:
        return None
    rule, arrays = _rule(culprit, entry)
    try:
        closed = jax.make_jaxpr(rule)(*arrays)
    except NEEDS_VALUE:
        return None
    given = [*arrays, *jaxprs.constants_of(closed)]
    inputs = [Value(x, kind="input") for x in given]
    outputs, tape = run_on_tape(builder.root_block(closed), inputs, builder)
    bad = next((value for value in outputs if value.bad().any()), None)
    if bad is None:
        return None
    # A solver that stops at a NaN returns another one, made by its own formula.
    return line_of(blame_forward(bad).entry, None) or line_of(
        first_made(tape.entries), None
    )


def _rule(culprit: Culprit, entry: Entry) -> tuple[Callable[..., list[Any]], list[Any]]:
    """What the operation ran in this phase, and on which arrays."""
    arrays, pull = [value.array for value in entry.inputs], Backward([]).pull
    if culprit.phase != "backward":
        return entry.function, arrays

    def back(*given: Any) -> list[Any]:  # the arrays, then the cotangents
        parts = pull(entry, given[: len(arrays)], given[len(arrays) :])
        return list(parts.values())

    cotangents = [
        jnp.zeros_like(value.array) if cotangent is None else cotangent
        for cotangent, value in zip(culprit.cotangents, entry.outputs, strict=True)
    ]
    return back, [*arrays, *cotangents]
