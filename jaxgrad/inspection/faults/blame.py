"""From the end of a walk over the tape to a `Blame` in the user's terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.culprit import Culprit, blame_forward, influence
from jaxgrad.inspection.faults.hints import hint
from jaxgrad.inspection.program.blocks import Builder
from jaxgrad.inspection.program.frames import source_of
from jaxgrad.inspection.program.jaxprs import CUSTOM_RULES, constants_of
from jaxgrad.inspection.program.labels import Draft
from jaxgrad.inspection.report.data import Report, Source, Step
from jaxgrad.inspection.report.explanation import Blame
from jaxgrad.inspection.run.backward import Backward, total
from jaxgrad.inspection.run.steps import build_step, names_of, numbered
from jaxgrad.inspection.run.tape import Entry, Tape, Value, record

SHOWN = 8
# What a library does to an operand that is still the user's.
SAME_ELEMENTS = ("convert_element_type", "broadcast_in_dim", "reshape", "copy")


@dataclass(frozen=True)
class BlameWriter:
    """Writes blames."""

    drafts: Sequence[Draft]  # What the steps are called and where they stand
    tape: Tape  # A run of them
    # The report whose steps the blames name; without one the steps are built from the
    # tape
    report: Report | None = None

    def write(self, culprit: Culprit) -> Blame:
        """The blame of a culprit."""
        entry = culprit.entry
        step = None if entry is None else self._step(entry)
        operands = self._operands(culprit)
        inner = _inside_rule(culprit, self.tape.builder)
        blamed_input = culprit.phase == "input"
        operation = step.operation if step else ""
        return Blame(
            phase=culprit.phase,
            step=None if blamed_input else step,
            argument=culprit.value.label if blamed_input else None,
            iteration=_iteration(None if blamed_input else entry),
            count=int(culprit.mask.sum()),
            operands=operands,
            hint=hint(culprit, operation),
            primitive="" if entry is None or blamed_input else entry.primitive,
            source=None if blamed_input else inner or _line(entry, step),
            became=self._step(culprit.became) if culprit.became else None,
        )

    def _ran(self) -> list[Draft]:
        """The drafts without those of branches that were not taken."""
        taken = self.tape.taken
        return [
            draft
            for draft in self.drafts
            if all(index in taken.get(slot, ()) for slot, index in draft.branch)
        ]

    def _step(self, entry: Entry) -> Step | None:
        """The step of an operation, with its values in the same iteration."""
        ran = self._ran()
        slots = [draft.item.slot for draft in ran]
        later = [slot for slot in slots if slot >= entry.slot]
        if not later:
            return None
        # What prepares a loop or a branch is no step: the loop or branch is.
        slot = min(later)
        if self.report is not None:
            return self.report.steps[slots.index(slot)]
        draft = ran[slots.index(slot)]
        values = self._values(slot, entry.iteration)
        return build_step(
            draft,
            numbered(ran),
            [value.array for value in values],
            [total(value) if value.active else None for value in values],
        )

    def _values(self, slot: int, iteration: tuple[int, ...]) -> list[Value]:
        results = self.tape.results
        for depth in range(len(iteration), -1, -1):
            if (slot, iteration[:depth]) in results:
                return results[slot, iteration[:depth]]
        return next(values for (s, _), values in results.items() if s == slot)

    def _operands(self, culprit: Culprit) -> dict[str, np.ndarray]:
        """What met at the first elements that are not finite."""
        entry, mask = culprit.entry, culprit.mask
        if entry is None or culprit.phase in ("input", "constant"):
            return {culprit.value.label: np.asarray(culprit.value.array)[mask][:SHOWN]}
        if culprit.adding:
            parts = [part for _, part in culprit.value.parts]
            return {
                f"cotangent {i}": np.asarray(part)[mask][:SHOWN]
                for i, part in enumerate(parts)
            }
        shown: dict[str, np.ndarray] = {}
        for position, value in enumerate(entry.inputs):
            if jnp.issubdtype(value.array.dtype, jax.dtypes.extended):
                continue  # keys of random numbers are no numbers
            reached = mask
            if np.shape(value.array) != mask.shape and value.floating:
                reached = self._influence(culprit, position)
            label = self._label(value)
            while label in shown:
                label += "'"
            if np.size(elements := _selected(value.array, reached)):
                shown[label] = elements
        if culprit.phase == "backward":
            for cotangent in culprit.cotangents:
                if cotangent is not None:
                    shown.setdefault("cotangent", _selected(cotangent, mask))
        return shown

    def _influence(self, culprit: Culprit, position: int) -> np.ndarray:
        entry = culprit.entry
        assert entry is not None
        if culprit.phase == "backward":
            return np.ones(np.shape(entry.inputs[position].array), bool)
        output = next(i for i, v in enumerate(entry.outputs) if v is culprit.value)
        return influence(entry, position, output, culprit.mask)

    def _label(self, value: Value) -> str:
        """The step's name, the argument's path, or the operation inside a step."""
        if value.maker is None:
            return value.label
        if value.maker.primitive == "unstack":
            turn = next(i for i, v in enumerate(value.maker.outputs) if v is value)
            return f"{self._label(value.maker.inputs[0])}[{turn}]"
        for (slot, _), shown in self.tape.results.items():
            for position, each in enumerate(shown):
                if each is value:
                    draft = next((d for d in self.drafts if d.item.slot == slot), None)
                    return names_of(draft)[position] if draft else value.maker.primitive
        if value.maker.primitive in SAME_ELEMENTS:
            return self._label(value.maker.inputs[0])
        return value.maker.primitive


def _selected(array: Any, mask: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.shape != mask.shape:
        return array.reshape(-1)[:SHOWN]
    return array[mask][:SHOWN]


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


def _inside_rule(culprit: Culprit, builder: Builder) -> Source | None:
    """The user's line inside the rule of a custom derivative that made it."""
    entry = culprit.entry
    if culprit.phase != "backward" or entry is None or culprit.adding:
        return None
    if entry.primitive not in CUSTOM_RULES:
        return None
    arrays = [value.array for value in entry.inputs]
    pull = Backward([]).pull

    def rule(*arrays_and_cotangents: Any) -> list[Any]:
        given = arrays_and_cotangents
        parts = pull(entry, given[: len(arrays)], given[len(arrays) :])
        return list(parts.values())

    cotangents = [
        jnp.zeros_like(value.array) if cotangent is None else cotangent
        for cotangent, value in zip(culprit.cotangents, entry.outputs, strict=True)
    ]
    closed = jax.make_jaxpr(rule)(*arrays, *cotangents)
    given = [*arrays, *cotangents, *constants_of(closed)]
    inputs = [Value(x, kind="input") for x in given]
    outputs, _ = record(builder.program(closed), inputs, builder)
    bad = next((value for value in outputs if value.bad().any()), None)
    return _line(blame_forward(bad).entry, None) if bad else None
