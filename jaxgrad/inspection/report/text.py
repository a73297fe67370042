"""A report and a blame as text that fits the terminal."""

import shutil
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgrad.inspection.report.data import Finding, Report
from jaxgrad.inspection.report.marks import Marks, has_nonfinite, key_of, marks, named
from jaxgrad.inspection.report.rows import (
    argument_row,
    cut,
    headline,
    number,
    place,
    rows_of,
)

Row = tuple[str, ...]
HEADER = ("#", "name", "operation", "type", "value", "gradient", "mark", "source")
NAME, OPERATION, SOURCE = 1, 2, 7
# What a narrow terminal takes from the columns, in turn, and the least it leaves.
YIELDING = ((7, 24), (1, 14), (5, 13), (4, 10), (2, 8), (3, 8), (1, 8), (5, 8), (6, 4))
PROSE = 88


class _Form(NamedTuple):
    """How much of the table stands where."""

    headings: bool
    """The source above the steps of its line, not beside them."""
    short: bool
    """Means in the place of ranges."""
    joined: bool
    """Name and operation in one column: `h1 = add`."""


FORMS = (
    _Form(headings=False, short=False, joined=False),
    _Form(headings=True, short=False, joined=False),
    _Form(headings=True, short=True, joined=False),
    _Form(headings=True, short=True, joined=True),
)


def text(report: Report, width: int | None = None) -> str:
    """The report as a table: the arguments, the steps, and what stands out.

    Args:
        report: The report.
        width: Columns to fit into; by default those of the terminal. Where they do
            not hold the source as a column, it stands above the steps of the line;
            where they do not hold the ranges either, means take their place; and at
            last the name and the operation share a column.
    """
    width = width or shutil.get_terminal_size((100, 24)).columns
    found = marks(report)
    lines = [headline(report), *_fitting(report, found, width)]
    lines += [cut(f"{mark}: {meaning}", width) for mark, meaning in named(found)]
    if report.note:
        lines += textwrap.wrap(report.note, width)
    if has_nonfinite(report) and report.nonfinite is not None:
        lines += ["", blame_text(report.nonfinite, min(width, PROSE))]
    return "\n".join(lines)


def _fitting(report: Report, found: Marks, width: int) -> list[str]:
    """The table in the first form that fits, or the last one, cut."""
    form, rows = FORMS[0], []
    for form in FORMS:
        rows = _rows(report, found, form)
        if _total(_widths(rows, 0 if form.headings else 24)) <= width:
            break
    widths = _narrowed(_widths(rows, 0 if form.headings else None), width)
    lines = [_line(HEADER, widths), _line(tuple("-" * w for w in widths), widths)]
    above = ""
    for row in rows:
        if form.headings and row[SOURCE] and row[SOURCE] != above:
            lines.append(cut(row[SOURCE], width))
            above = row[SOURCE]
        lines.append(_line(row, widths))
    shape = "mean |norm|" if form.short else "min .. mean .. max |norm|"
    return [*lines, f"arrays: {shape}"] if _any_arrays(report) else lines


def _any_arrays(report: Report) -> bool:
    summaries = [s for step in report.steps for s, _ in step.summaries]
    summaries += [argument.summaries[0] for argument in report.arguments]
    return any(s.size > 1 for s in summaries if s)


def _rows(report: Report, found: Marks, form: _Form) -> list[Row]:
    rows: list[Row] = []
    for argument in report.arguments:
        path, kind, value, gradient = argument_row(argument, form.short)
        mark = " ".join(found.get(key_of(argument), ()))
        operation = "" if form.joined else "argument"
        rows.append(("", path, operation, kind, value, gradient, mark, ""))
    for step in report.steps:
        source = f"{place(step.source)}  {step.source.text}".strip()
        mark = " ".join(found.get(key_of(step), ()))
        ahead = (str(step.index), step.operation, mark, source)
        for name, kind, value, gradient in rows_of(step, form.short):
            index, operation, mark, line = ahead
            shown = "" if operation == name else operation
            if form.joined and shown:
                name, shown = f"{name} = {shown}", ""
            rows.append((index, name, shown, kind, value, gradient, mark, line))
            ahead = ("", "", "", "")
    return rows


def _widths(rows: Sequence[Row], source: int | None) -> list[int]:
    """The width of each column, 0 for an empty one; of the source at most `source`."""
    widths = []
    for i, title in enumerate(HEADER):
        longest = max((len(row[i]) for row in rows), default=0)
        widths.append(max(longest, len(title)) if longest else 0)
    if source is not None:
        widths[SOURCE] = min(widths[SOURCE], source)
    return widths


def _narrowed(widths: list[int], width: int) -> list[int]:
    for column, least in YIELDING:
        excess = _total(widths) - width
        if excess > 0 and widths[column] > least:
            widths[column] = max(widths[column] - excess, least)
    return widths


def _total(widths: Sequence[int]) -> int:
    shown = [w for w in widths if w]
    return sum(shown) + 2 * (len(shown) - 1)


def _line(row: Row, widths: Sequence[int]) -> str:
    cells = [
        cut(cell, w).rjust(w) if i == 0 else cut(cell, w).ljust(w)
        for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        if w
    ]
    return "  ".join(cells).rstrip()


def blame_text(blame: Finding, width: int = PROSE) -> str:
    """A blame as a few lines: what, where, which values, why."""
    lines = [_what(blame)]
    source = blame.source or (blame.step and blame.step.source)
    if source is not None and source.line:
        lines.append(f"  {source.file}:{source.line} in {source.function}")
        if source.text:
            lines.append(f"    {source.text}")
    for name, values in blame.operands.items():
        shown = ", ".join(number(v, 6) for v in np.ravel(values)[:8].tolist())
        lines.append(f"  {name} = {shown}{', ...' if np.size(values) > 8 else ''}")
    if blame.became is not None:
        step = blame.became
        lines.append(f"  the infinity became NaN in {step.name}, {place(step.source)}")
    lines += textwrap.wrap(
        blame.hint,
        width,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def _what(blame: Finding) -> str:
    elements = f"{blame.count} non-finite element{'' if blame.count == 1 else 's'}"
    when = "" if blame.iteration is None else f" in iteration {blame.iteration}"
    if blame.phase == "input":
        return f"The argument {blame.argument} holds {elements}"
    name = blame.step.name if blame.step else "the function"
    made = {
        "constant": f"A constant that {name} reads holds {elements}",
        "forward": f"{name} made {elements}",
        "backward": f"The derivative of {name} made {elements}",
    }[blame.phase]
    operation = blame.step.operation if blame.step else ""
    inner = f" ({blame.primitive})" if blame.primitive not in ("", operation) else ""
    return f"{made}{inner}{when}"
