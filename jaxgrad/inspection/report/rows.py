"""The rows of the table: an argument or a result of a step each, as short texts."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgrad.inspection.report.data import Argument, Report, Step
from jaxgrad.inspection.report.format import (
    location,
    number,
    plain,
    summary_text,
    type_text,
)
from jaxgrad.inspection.report.marks import Mark, Marks, key_of

COLUMNS = ("#", "name", "operation", "type", "value", "gradient", "mark", "source")


class Texts(NamedTuple):
    """One array of a report in short texts."""

    name: str  # The user's variable, the operation, or the path of an argument
    type: str  # Type and shape: `f32[2,4]`
    value: str
    gradient: str  # The gradient, or why there is none
    differentiated: bool


class Row(NamedTuple):
    """An argument, or one result of a step: the first also describes the step."""

    key: str  # The key of the step or argument
    kind: str  # argument, step or result
    marks: tuple[Mark, ...]
    differentiated: bool
    location: str  # File and line: `loss.py:12`
    cells: dict[str, str]  # By column


def rows(report: Report, found: Marks, short: bool = False) -> list[Row]:
    """The arguments, then the steps; `short` for means instead of ranges."""
    things = (*report.arguments, *report.steps)
    return [row for t in things for row in _rows_of(t, report.result, found, short)]


def _rows_of(
    thing: Step | Argument, result: int | None, found: Marks, short: bool
) -> Iterator[Row]:
    key = key_of(thing)
    marks = found.get(key, ())
    kind, where, first = "argument", "", {"operation": "argument"}
    if isinstance(thing, Step):
        kind = "result" if thing.index == result else "step"
        where = location(thing.source)
        named = thing.operation == thing.name
        first = {
            "#": str(thing.index),
            "operation": "" if named else plain(thing.operation),
            "source": f"{where}  {plain(thing.source.text)}".strip(),
        }
    first["mark"] = " ".join(marks)
    for texts in texts_of(thing, short):
        cells = dict.fromkeys(COLUMNS, "") | first
        for column in ("name", "type", "value", "gradient"):
            cells[column] = getattr(texts, column)
        yield Row(key, kind, marks, texts.differentiated, where, cells)
        key, where, first = "", "", {}


def texts_of(thing: Step | Argument, short: bool = False) -> list[Texts]:
    """The array of an argument, or of each result of a step."""
    why = thing.why or "no gradient"
    return [
        Texts(
            name=plain(name),
            type=plain(type_text(shape, dtype)),
            value=summary_text(value, "-", short, boolean=np.dtype(bool) == dtype),
            gradient=summary_text(gradient, why, short),
            differentiated=gradient is not None,
        )
        for name, shape, dtype, (value, gradient) in _arrays(thing)
    ]


def _arrays(thing: Step | Argument) -> Sequence[tuple[str, Any, Any, Any]]:
    if isinstance(thing, Argument):
        name = ", ".join((thing.path, *thing.aliases))
        return [(name, thing.shape, thing.dtype, thing.summaries)]
    if not thing.outputs:
        return [(thing.name, thing.shape, thing.dtype, thing.summaries[0])]
    columns = thing.outputs, thing.shape, thing.dtype, thing.summaries
    return list(zip(*columns, strict=True))


def headline(report: Report) -> str:
    """The function, its value, and how many steps and arguments it has."""
    value = report.value
    while isinstance(value, tuple):
        value = value[0]
    counts = f"{_count(report.steps, 'step')}, {_count(report.arguments, 'argument')}"
    return f"{plain(report.name)} = {number(float(value), 8)}   ({counts})"


def _count(things: Sequence[Any], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
