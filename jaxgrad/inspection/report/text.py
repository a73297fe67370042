"""A report and a finding as text that fits the terminal."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from jaxgrad.inspection.report.data import Diagnosis, Finding, Report
from jaxgrad.inspection.report.format import (
    MEAN,
    RANGE,
    columns_of,
    cut,
    location,
    number,
    padded,
    plain,
    prose,
)
from jaxgrad.inspection.report.marks import Marks, finding_in, marks, meanings
from jaxgrad.inspection.report.rows import COLUMNS, Row, headline, rows

Cells = tuple[str, ...]
SOURCE = COLUMNS.index("source")
# A form of the table fits if it does with these columns cut to these widths.
MOST = {"operation": 24, "source": 24}
# The columns to cut in a narrow terminal, in turn, and how narrow each may get.
SHRINK = (
    *MOST.items(),
    *{"name": 14, "gradient": 13, "value": 10, "operation": 8, "type": 8}.items(),
    *{"name": 8, "gradient": 8, "mark": 4}.items(),
)
PROSE = 88
# The forms of the table from wide to narrow. Each also does what those before it do.
WIDE, HEADINGS, MEANS, JOINED = FORMS = range(4)


def text(report: Report, width: int | None = None) -> str:
    """The report as a table: the arguments, the steps, and what the marks mean.

    It fits into `width` characters, or into the terminal. In a narrow one the source is
    a line above its steps, arrays are shown by their means, and the name and the
    operation share a column.
    """
    width = width or shutil.get_terminal_size((100, 24)).columns
    found = marks(report)
    lines = [headline(report), *_table(report, found, width)]
    for mark, meaning in meanings(found):
        lines += textwrap.wrap(f"{mark}: {meaning}", width, subsequent_indent="  ")
    lines += textwrap.wrap(prose(report.note), width)
    if (finding := finding_in(report)) is not None:
        lines += ["", blame_text(finding, min(width, PROSE))]
    return "\n".join(lines)


def _table(report: Report, found: Marks, width: int) -> list[str]:
    """The table in the first form that fits, or in the last one with cells cut."""
    form, cells, widths = WIDE, [], []
    for form in FORMS:
        short = form >= MEANS
        cells = [_cells(row, form) for row in rows(report, found, short)]
        widths = _widths(cells, form)
        least = (min(w, MOST.get(t, w)) for t, w in zip(COLUMNS, widths, strict=True))
        if _total([*least]) <= width:
            break
    widths = _shrunk(widths, width)
    lines = [_line(COLUMNS, widths), _line(tuple("-" * w for w in widths), widths)]
    above = ""
    for row in cells:
        if form >= HEADINGS and row[SOURCE] and row[SOURCE] != above:
            above = row[SOURCE]
            lines.append(cut(above, width))
        lines.append(_line(row, widths))
    summaries = [value for step in report.steps for value, _ in step.summaries]
    summaries += [argument.summaries[0] for argument in report.arguments]
    if any(s.size > 1 for s in summaries if s):
        lines += textwrap.wrap(f"arrays: {MEAN if form >= MEANS else RANGE}", width)
    return lines


def _cells(row: Row, form: int) -> Cells:
    cells = dict(row.cells)
    operation = cells["operation"]
    if form >= JOINED:
        if operation and row.kind != "argument":
            cells["name"] += f" = {operation}"
        cells["operation"] = ""
    return tuple(cells.values())


def _widths(table: Sequence[Cells], form: int) -> list[int]:
    """The width of each column, 0 if there is nothing in it."""
    widths = []
    for title, *column in zip(COLUMNS, *table, strict=True):
        longest = max(map(columns_of, column), default=0)
        shown = longest and not (form >= HEADINGS and title == "source")
        widths.append(max(longest, len(title)) if shown else 0)
    return widths


def _shrunk(widths: Sequence[int], width: int) -> list[int]:
    widths = list(widths)
    for title, least in SHRINK:
        column, excess = COLUMNS.index(title), _total(widths) - width
        if excess > 0 and widths[column] > least:
            widths[column] = max(widths[column] - excess, least)
    return widths


def _total(widths: Sequence[int]) -> int:
    shown = [w for w in widths if w]
    return sum(shown) + 2 * (len(shown) - 1)


def _line(row: Cells, widths: Sequence[int]) -> str:
    cells = [
        padded(cut(cell, w), w, right=i == 0)
        for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        if w
    ]
    return "  ".join(cells).rstrip()


def blame_text(finding: Finding, width: int = PROSE) -> str:
    """A finding in a few lines: what, where, which values, and what to do."""
    hint = textwrap.wrap(prose(finding.hint), width - 2, break_on_hyphens=False)
    hint = [f"  {line}" for line in hint]
    return "\n".join([*(plain(line, 1000) for line in _facts(finding)), *hint])


def diagnosis_text(diagnosis: Diagnosis, width: int = PROSE) -> str:
    """The faults, numbered, and what was looked for."""
    report, found = diagnosis.report, diagnosis.findings
    count = f"{len(found) or 'no'} fault{'' if len(found) == 1 else 's'} found"
    lines = [f"{headline(report)}: {count}"]
    for i, finding in enumerate(found, 1):
        first, *more = blame_text(finding, width - 3).split("\n")
        lines += ["", f"{i}. {finding.kind}: {first}", *(f"   {line}" for line in more)]
    looked_for = f"Looked for: {', '.join(diagnosis.looked_for)}."
    for text_ in (*diagnosis.remarks, looked_for, *diagnosis.skipped):
        lines += ["", *textwrap.wrap(prose(text_), width, break_on_hyphens=False)]
    return "\n".join(lines)


def _facts(finding: Finding) -> Iterator[str]:
    yield finding.summary or _what(finding)
    source = finding.source or (finding.step and finding.step.source)
    if source is not None and source.line:
        yield f"  {source.place} in {source.function}"
        if source.text:
            yield f"    {plain(source.text)}"
    if finding.library is not None:
        inside = finding.library
        yield f"  inside it, {inside.place} in {inside.function}"
        if inside.text:
            yield f"    {plain(inside.text)}"
    for name, values in finding.operands.items():
        precise = finding.kind == "inaccurate"
        shown = ", ".join(_numbers(np.ravel(values)[:8].tolist(), precise))
        yield f"  {name} = {shown}{', ...' if np.size(values) > 8 else ''}"
    if finding.became is not None:
        step = finding.became
        made = f"{'the derivative of ' if finding.in_derivative else ''}{step.name}"
        yield f"  the infinity became NaN in {made}, {location(step.source)}"


def _numbers(values: list[bool | int | float | complex], precise: bool) -> list[str]:
    """The numbers in 6 digits, or in so many that different ones look different."""
    shown = [number(value, 6) for value in values]
    for digits in range(7, 18 if precise else 7):
        if len({*shown}) == len({*values}):
            break
        shown = [number(value, digits) for value in values]
    return shown


def _what(finding: Finding) -> str:
    elements = f"{finding.count} non-finite element{'' if finding.count == 1 else 's'}"
    if finding.phase == "input":
        return f"The argument {finding.argument} holds {elements}"
    name = finding.step.name if finding.step else "the function"
    made = {
        "constant": f"A constant that {name} reads holds {elements}",
        "forward": f"{name} made {elements}",
        "backward": f"The derivative of {name} made {elements}",
    }[finding.phase]
    operation = finding.step.operation if finding.step else ""
    part = f" ({finding.primitive})" if finding.primitive not in ("", operation) else ""
    when = "" if finding.iteration is None else f" in iteration {finding.iteration}"
    where = f", first on shard {finding.shard}" if finding.shard else ""
    return f"{made}{part}{when}{where}"
