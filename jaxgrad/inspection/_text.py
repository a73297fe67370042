"""A report and a blame as text that fits the terminal."""

import shutil
from collections.abc import Sequence

import numpy as np

from jaxgrad.inspection._format import (
    argument_row,
    headline,
    number,
    place,
    rows_of,
)
from jaxgrad.inspection._marks import MEANING, Marks, has_nonfinite, marks
from jaxgrad.inspection._steps import Blame, Explanation

Row = tuple[str, ...]
HEADER = ("#", "name", "operation", "type", "value", "gradient", "mark", "source")
# What a narrow terminal takes from the columns, in turn, and the least it leaves.
YIELDING = ((7, 24), (2, 8), (1, 16), (3, 8), (4, 10), (5, 10), (1, 8), (6, 4))


def text(report: Explanation, width: int | None = None) -> str:
    """The report as a table: the arguments, the steps, and what stands out.

    Args:
        report: The report.
        width: Columns to fit into; by default those of the terminal. Where they do
            not hold the source as a column, it stands above the steps of the line,
            and where they do not hold the ranges either, means take their place.
    """
    width = width or shutil.get_terminal_size((100, 24)).columns
    found = marks(report)
    lines = [headline(report), *_fitting(report, found, width)]
    named = dict.fromkeys(mark for each in found.values() for mark in each)
    lines += [_cut(f"{mark}: {MEANING[mark]}", width) for mark in named]
    if report.note:
        lines.append(report.note)
    if has_nonfinite(report) and report.nonfinite is not None:
        lines += ["", blame_text(report.nonfinite)]
    return "\n".join(lines)


def _fitting(report: Explanation, found: Marks, width: int) -> list[str]:
    """The table in the first form that fits."""
    for short, headings in ((False, False), (False, True), (True, True)):
        rows = _rows(report, found, short)
        widths = _widths(rows, 24 if not headings else 0)
        if _total(widths) <= width:
            break
    widths = _narrowed(_widths(rows, 0 if headings else None), width)
    shape = "mean |norm|" if short else "min .. mean .. max |norm|"
    lines = [_line(HEADER, widths), _line(tuple("-" * w for w in widths), widths)]
    above = ""
    for row in rows:
        if headings and row[7] and row[7] != above:
            lines.append(_cut(row[7], width))
            above = row[7]
        lines.append(_line(row, widths))
    return [*lines, f"arrays: {shape}"]


def _rows(report: Explanation, found: Marks, short: bool) -> list[Row]:
    rows: list[Row] = []
    for argument in report.arguments:
        path, form, value, gradient = argument_row(argument, short)
        rows.append(("", path, "argument", form, value, gradient, "", ""))
    for step in report.steps:
        source = f"{place(step.source)}  {step.source.text}".strip()
        mark = " ".join(found.get(step.index, ()))
        ahead = (str(step.index), step.operation, mark, source)
        for name, form, value, gradient in rows_of(step, short):
            index, operation, mark, line = ahead
            shown = "" if operation == name else operation
            rows.append((index, name, shown, form, value, gradient, mark, line))
            ahead = ("", "", "", "")
    return rows


def _widths(rows: Sequence[Row], source: int | None) -> list[int]:
    """The width of each column, 0 for an empty one; of the source at most `source`."""
    widths = []
    for i, title in enumerate(HEADER):
        longest = max((len(row[i]) for row in rows), default=0)
        widths.append(max(longest, len(title)) if longest else 0)
    if source is not None:
        widths[7] = min(widths[7], source)
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
        _cut(cell, w).rjust(w) if i == 0 else _cut(cell, w).ljust(w)
        for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        if w
    ]
    return "  ".join(cells).rstrip()


def _cut(cell: str, width: int) -> str:
    if len(cell) <= width:
        return cell
    # Of a long path (`params['layers'][0]['w']`) the end tells most.
    if cell.endswith("]") and "[" in cell:
        return cell[:2] + "…" + cell[3 - width :] if width > 3 else cell[:width]
    return cell[: width - 1] + "…"


def blame_text(blame: Blame) -> str:
    """A blame as a few lines: what, where, which values, why."""
    lines = [_what(blame)]
    source = blame.source or (blame.step and blame.step.source)
    if source is not None and source.line:
        lines.append(f"  {source.file}:{source.line} in {source.function}")
        lines.append(f"    {source.text}")
    for name, values in blame.operands.items():
        shown = ", ".join(number(float(v), 6) for v in np.ravel(values)[:8])
        lines.append(f"  {name} = {shown}{', ...' if np.size(values) > 8 else ''}")
    if blame.became is not None:
        step = blame.became
        lines.append(f"  the infinity became NaN in {step.name}, {place(step.source)}")
    lines.append(f"  {blame.hint}")
    return "\n".join(lines)


def _what(blame: Blame) -> str:
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
