"""From a culprit to a `Blame` in the user's terms.

Describing a culprit runs the user's functions again, which may raise. Each part is
guarded separately, so that a blame always names the step, the phase and the line.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.describe import (
    Describer,
    guarded,
    iteration_of,
    line_of,
)
from jaxgrad.inspection.faults.nonfinite.culprit import Culprit, influence
from jaxgrad.inspection.faults.nonfinite.hints.case import Case, Hint
from jaxgrad.inspection.faults.nonfinite.hints.library import library_line
from jaxgrad.inspection.faults.nonfinite.hints.rules import advise
from jaxgrad.inspection.faults.nonfinite.inside import run_inside
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.report.data import Source
from jaxgrad.inspection.report.explanation import Blame
from jaxgrad.inspection.run.backward import Backward
from jaxgrad.inspection.run.tape import Entry, nonfinite

# How many elements of an operand a blame keeps; the text shows fewer, and says so.
KEPT = 100
# The fields that come from the rule of a custom derivative; the rest are the call's.
OF_THE_RULE = ("source", "library", "primitive", "operands", "hint")


@dataclass(frozen=True)
class BlameWriter:
    """Describes culprits as blames."""

    names: Describer

    def write(self, culprit: Culprit) -> Blame:
        """The blame of a culprit."""
        is_input = culprit.phase == "input"
        entry = None if is_input else culprit.entry
        step = guarded(lambda: self.names.step(entry), None)
        became = guarded(lambda: self.names.step(culprit.became), None)
        blame = Blame(
            phase=culprit.phase,
            step=step,
            argument=culprit.value.label if is_input else None,
            iteration=iteration_of(entry),
            count=int(culprit.mask.sum()),
            operands={},
            hint="",
            primitive=entry.primitive if entry else "",
            source=line_of(entry, step),
            shard=guarded(lambda: entry.shard_of(culprit.mask) if entry else "", ""),
            became=became,
            in_derivative=culprit.became is not None
            and culprit.became is culprit.passed,
        )
        within = guarded(lambda: self._within_rule(culprit), None)
        if within is not None:
            parts = {name: getattr(within, name) for name in OF_THE_RULE}
            if within.source is None or not within.source.line:
                parts["source"] = blame.source
            return replace(blame, **parts)
        words = step.operation if step else "", became.operation if became else ""
        case = Case(culprit, self.names.tape, *words, label=self.names.label)
        advice = guarded(lambda: advise(case), Hint(""))
        return replace(
            blame,
            operands=self._shown(culprit, advice),
            hint=advice.text,
            library=guarded(lambda: _library(case), None),
        )

    def _within_rule(self, culprit: Culprit) -> Blame | None:
        """The blame inside a function with a custom derivative, or inside its rule."""
        found = run_inside(culprit, self.names)
        if found is None or found[1].phase != "forward":
            return None
        within, inner = found
        return BlameWriter(within).write(inner)

    def _shown(self, culprit: Culprit, advice: Hint) -> dict[str, np.ndarray]:
        """The operands, or what the hint shows instead; both for a derivative."""
        shown = {k: np.ravel(v)[:KEPT] for k, v in (advice.shown or {}).items()}
        if shown and culprit.phase != "backward":
            return shown
        return {**self._operands(culprit), **shown}

    def _operands(self, culprit: Culprit) -> dict[str, np.ndarray]:
        """The elements of the operands behind the non-finite elements, by name."""
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
            parts = enumerate(value.parts)
            return [part(f"cotangent {i}", array) for i, (_, array) in parts]
        several, positions = len(culprit.cotangents) > 1, range(len(entry.inputs))

        def sent(i: int) -> Callable[[], tuple[str, np.ndarray]]:
            if not several:
                return part("cotangent", culprit.cotangents[i])
            result = self.names.label(entry.outputs[i]) or f"result {i}"
            return part(f"cotangent of {result}", culprit.cotangents[i])

        deciding = guarded(lambda: _deciding_cotangents(culprit, entry), [])
        return [
            *(partial(self._operand, culprit, entry, i) for i in positions),
            *map(sent, deciding),
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


def _library(case: Case) -> Source | None:
    """The library's line, unless the operation is the one that the user called."""
    operation = case.operation.removesuffix(" (backward)")
    if case.culprit.phase not in ("forward", "backward") or case.culprit.adding:
        return None
    made = [v for v in case.entry.operands if v.kind != "literal"]
    if case.entry.primitive == operation or all(map(case.label, made)):
        return None
    return library_line(case.entry)


def _deciding_cotangents(culprit: Culprit, entry: Entry) -> list[int]:
    """The cotangents that make it non-finite by themselves; all if none does."""
    given = [i for i, c in enumerate(culprit.cotangents) if c is not None]
    if len(given) < 2:
        return given
    position = next(i for i, v in enumerate(entry.inputs) if v is culprit.value)
    arrays = [v.array for v in entry.inputs]

    def decides(i: int) -> bool:
        alone = [c if at == i else None for at, c in enumerate(culprit.cotangents)]
        try:
            sent = Backward([]).pull(entry, arrays, alone)[position]
        except Exception:  # a rule may need all of them
            return False
        return bool((nonfinite(sent) & culprit.mask).any())

    return [i for i in given if decides(i)] or given
