"""Describe a tape in the user's terms: steps, lines, names, iterations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxgrad.inspection.program.failures import warn_of_own_failure
from jaxgrad.inspection.program.frames import source_of
from jaxgrad.inspection.program.labels import Draft
from jaxgrad.inspection.program.names import index_of
from jaxgrad.inspection.report.data import Report, Source, Step
from jaxgrad.inspection.run.backward import total
from jaxgrad.inspection.run.steps import build_step, names_of, numbered
from jaxgrad.inspection.run.tape import Entry, Tape, Value

# Operations of a library that keep the elements of the user's operand.
SAME_ELEMENTS = ("convert_element_type", "broadcast_in_dim", "reshape", "copy")


@dataclass(frozen=True)
class Describer:
    """Names the operations and values of a tape as the user's source does."""

    drafts: Sequence[Draft]  # What the steps are called and where they are
    tape: Tape
    report: Report | None = None  # Names its steps; without it they are built

    def ran(self) -> list[Draft]:
        """The drafts without those of branches not taken and of empty loops."""
        taken = {(s, i) for s, chosen in self.tape.taken.items() for i in chosen}
        ran = (draft for draft in self.drafts if taken.issuperset(draft.branch))
        return [draft for draft in ran if all(draft.loop)]

    def step(self, entry: Entry | None) -> Step | None:
        """The step of an operation, with its values in the same iteration."""
        ran = self.ran()
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

    def label(self, value: Value) -> str:
        """The step's name or the argument's path; "" for a library's own value."""
        maker = value.maker
        if maker is None:
            return value.label
        if maker.moves and maker.primitive == "unstack":
            row, whole = maker.place(value), maker.inputs[0]
            while isinstance(row, int) and whole.maker and whole.maker.moves:
                start = whole.maker.place(whole)
                if not isinstance(start, slice):
                    break
                row, whole = row + start.start, whole.maker.inputs[0]
            label = self.label(whole)
            return label and f"{label}[{row}]"
        for (slot, _), shown in self.tape.results.items():
            for position, each in enumerate(shown):
                if each is value:
                    draft = next((d for d in self.drafts if d.item.slot == slot), None)
                    return _name(draft, position) if draft else ""
        if maker.primitive in SAME_ELEMENTS and maker.operands:
            return self.label(maker.operands[0])
        return ""


def _name(draft: Draft, position: int) -> str:
    """The variable that holds a result, else the index that was read, else the step."""
    site = draft.item.site
    if draft.operation == "index" and not draft.names and site.anchor is not None:
        return index_of(site.frames[site.anchor]) or draft.operation
    return names_of(draft)[position]


def guarded(describe: Callable[[], Any], otherwise: Any) -> Any:
    """A part of a description; `otherwise`, with a warning, where it fails."""
    try:
        return describe()
    except Exception as fault:
        left_out = "A part of the description is left out."
        warn_of_own_failure("find_nonfinite", fault, left_out)
        return otherwise


def iteration_of(entry: Entry | None) -> int | tuple[int, ...] | None:
    """The iteration of the user's loop, a tuple in nested loops, or None."""
    if entry is None or not entry.iteration:
        return None
    outermost, *inner = entry.iteration
    return (outermost, *inner) if inner else outermost


def line_of(entry: Entry | None, step: Step | None) -> Source | None:
    """The user's line inside the step, or else the step's."""
    site = entry and entry.site
    if site and site.user is not None:
        return source_of(site.frames[site.user], site.frames[site.user + 1 :])
    return step.source if step else None
