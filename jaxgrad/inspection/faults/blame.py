"""From a culprit to a `Blame` in the user's terms.

Describing runs the user's functions again, which may raise. Each part of a description
is guarded by itself, so that the step, the phase and the line always come out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.culprit import Culprit, blame_forward, influence
from jaxgrad.inspection.faults.hints import hint
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.program.blocks import Builder
from jaxgrad.inspection.program.failures import NEEDS_VALUE, warn_of_own_failure
from jaxgrad.inspection.program.frames import source_of
from jaxgrad.inspection.program.labels import Draft
from jaxgrad.inspection.report.data import Report, Source, Step
from jaxgrad.inspection.report.explanation import Blame
from jaxgrad.inspection.run.backward import Backward, total
from jaxgrad.inspection.run.steps import build_step, names_of, numbered
from jaxgrad.inspection.run.tape import Entry, Tape, Value, run_on_tape

# How many elements of an operand a blame keeps; the text shows fewer, and says so.
KEPT = 100
# What a library does to an operand that is still the user's.
SAME_ELEMENTS = ("convert_element_type", "broadcast_in_dim", "reshape", "copy")


@dataclass(frozen=True)
class BlameWriter:
    """Describes culprits as blames."""

    drafts: Sequence[Draft]  # What the steps are called and where they are
    tape: Tape
    report: Report | None = None  # Whose steps to name, else they are built

    def write(self, culprit: Culprit) -> Blame:
        """The blame of a culprit."""
        is_input = culprit.phase == "input"
        entry = None if is_input else culprit.entry
        step = _guarded(lambda: self._step(entry), None)
        line = _guarded(lambda: _line_in_rule(culprit, self.tape.builder), None)
        operation = step.operation if step else ""
        return Blame(
            phase=culprit.phase,
            step=step,
            argument=culprit.value.label if is_input else None,
            iteration=_iteration(entry),
            count=int(culprit.mask.sum()),
            operands=self._operands(culprit),
            hint=_guarded(lambda: hint(culprit, operation), ""),
            primitive=entry.primitive if entry else "",
            source=line or _line(entry, step),
            became=_guarded(lambda: self._step(culprit.became), None),
        )

    def _ran(self) -> list[Draft]:
        """The drafts without those of branches not taken and of empty loops."""
        taken = {(s, i) for s, chosen in self.tape.taken.items() for i in chosen}
        ran = (draft for draft in self.drafts if taken.issuperset(draft.branch))
        return [draft for draft in ran if all(draft.loop)]

    def _step(self, entry: Entry | None) -> Step | None:
        """The step of an operation, with its values in the same iteration."""
        ran = self._ran()
        slots = [draft.item.slot for draft in ran]
        later = [slot for slot in slots if entry and slot >= entry.slot]
        if entry is None or not later:
            return None
        # An operation that prepares a loop or a branch belongs to its step.
        slot = min(later)
        if self.report is not None:
            return self.report.steps[slots.index(slot)]
        values = self._values(slot, entry.iteration)
        arrays = [value.array for value in values]
        gradients = [total(value) if value.active else None for value in values]
        return build_step(ran[slots.index(slot)], numbered(ran), arrays, gradients)

    def _values(self, slot: int, iteration: tuple[int, ...]) -> list[Value]:
        results = self.tape.results
        for depth in range(len(iteration), -1, -1):
            if (slot, iteration[:depth]) in results:
                return results[slot, iteration[:depth]]
        return next(values for (s, _), values in results.items() if s == slot)

    def _operands(self, culprit: Culprit) -> dict[str, np.ndarray]:
        """By name, the elements of the operands that met at the non-finite elements."""
        shown: dict[str, np.ndarray] = {}
        for describe in self._parts(culprit):
            label, elements = _guarded(describe, ("", np.zeros(0)))
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
        label = self._label(value) or f"operand {position} of {entry.primitive}"
        return label, _selected(value.array, reached)

    def _label(self, value: Value) -> str:
        """The step's name or the argument's path; "" for a library's own value."""
        maker = value.maker
        if maker is None:
            return value.label
        if maker.primitive == "unstack":
            label = self._label(maker.inputs[0])
            row = next(i for i, v in enumerate(maker.outputs) if v is value)
            return label and f"{label}[{row}]"
        for (slot, _), shown in self.tape.results.items():
            for position, each in enumerate(shown):
                if each is value:
                    draft = next((d for d in self.drafts if d.item.slot == slot), None)
                    return names_of(draft)[position] if draft else ""
        if maker.primitive in SAME_ELEMENTS and maker.operands:
            return self._label(maker.operands[0])
        return ""


def _guarded(describe: Callable[[], Any], otherwise: Any) -> Any:
    """A part of a description; `otherwise`, with a warning, where it fails."""
    try:
        return describe()
    except Exception as fault:
        left_out = "A part of the description is left out."
        warn_of_own_failure("find_nonfinite", fault, left_out)
        return otherwise


def _selected(array: Any, mask: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.shape != mask.shape:
        return array.reshape(-1)[:KEPT]
    return array[mask][:KEPT]


def _iteration(entry: Entry | None) -> int | tuple[int, ...] | None:
    if entry is None or not entry.iteration:
        return None
    outermost, *inner = entry.iteration
    return (outermost, *inner) if inner else outermost


def _line(entry: Entry | None, step: Step | None) -> Source | None:
    """The user's line inside the step, else the step's."""
    site = entry and entry.site
    if site and site.user is not None:
        return source_of(site.frames[site.user], site.frames[site.user + 1 :])
    return step.source if step else None


def _line_in_rule(culprit: Culprit, builder: Builder) -> Source | None:
    """The user's line inside the rule of a custom derivative that made it."""
    entry = culprit.entry
    if entry is None or entry.primitive not in jaxprs.CUSTOM_RULES:
        return None
    if culprit.phase != "backward" or culprit.adding:
        return None
    arrays, pull = [value.array for value in entry.inputs], Backward([]).pull

    def rule(*given: Any) -> list[Any]:  # the arrays, then the cotangents
        parts = pull(entry, given[: len(arrays)], given[len(arrays) :])
        return list(parts.values())

    cotangents = [
        jnp.zeros_like(value.array) if cotangent is None else cotangent
        for cotangent, value in zip(culprit.cotangents, entry.outputs, strict=True)
    ]
    try:
        closed = jax.make_jaxpr(rule)(*arrays, *cotangents)
    except NEEDS_VALUE:
        return None
    given = [*arrays, *cotangents, *jaxprs.constants_of(closed)]
    inputs = [Value(x, kind="input") for x in given]
    outputs, _ = run_on_tape(builder.root_block(closed), inputs, builder)
    bad = next((value for value in outputs if value.bad().any()), None)
    return _line(blame_forward(bad).entry, None) if bad else None
