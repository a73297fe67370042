"""The table of the page: a row for each argument and each result of a step."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from jaxgrad.inspection._format import argument_row, place, rows_of
from jaxgrad.inspection._marks import Mark, Marks, key_of
from jaxgrad.inspection._steps import Argument, Explanation, Step

HEADER: tuple[str, ...] = (
    "#",
    "name",
    "operation",
    "type",
    "value",
    "gradient",
    "mark",
    "source",
)


class _Row(NamedTuple):
    key: str
    """Of the step or argument; empty for further results of a step."""
    kind: str
    marks: Sequence[Mark]
    cells: tuple[str, ...]
    differentiated: bool


def table(report: Explanation, found: Marks, linked: set[str], prefix: str) -> str:
    """All arguments and steps as HTML.

    Args:
        report: The report.
        found: Its marks; without any there is no column for them.
        linked: The keys of the nodes of the graph, to which the names then lead.
        prefix: Ahead of the ids, where several reports share a page.
    """
    shown = [title for title in HEADER if found or title != "mark"]
    head = "".join(f'<th scope="col">{title}</th>' for title in shown)
    rows = [_html(row, shown, linked, prefix) for row in _rows(report, found)]
    body = "\n".join(rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _rows(report: Explanation, found: Marks) -> Iterator[_Row]:
    for argument in report.arguments:
        yield _argument(argument, found.get(key_of(argument), ()))
    above = ""
    for step in report.steps:
        kind = "result" if step.index == report.result else "step"
        yield from _step(step, kind, found.get(key_of(step), ()), above)
        above = place(step.source)


def _argument(argument: Argument, found: Sequence[Mark]) -> _Row:
    path, kind, value, gradient = argument_row(argument)
    cells = ("", path, "argument", kind, value, gradient, " ".join(found), "")
    differentiated = argument.gradient is not None
    return _Row(key_of(argument), "argument", found, cells, differentiated)


def _step(step: Step, kind: str, found: Sequence[Mark], above: str) -> Iterator[_Row]:
    """A row for each result; of a line that the row above shows, the place alone."""
    source = place(step.source)
    line = source if source == above else f"{source}  {step.source.text}"
    key, index, operation, mark = key_of(step), str(step.index), step.operation, found
    for row, (_, gradient) in zip(rows_of(step), step.results, strict=True):
        name, *numbers = row
        cells = (index, name, operation, *numbers, " ".join(mark), line)
        yield _Row(key, kind, found, cells, gradient is not None)
        key, index, operation, mark, line = "", "", "", (), ""


def _html(row: _Row, shown: Sequence[str], linked: set[str], prefix: str) -> str:
    cells = dict(zip(HEADER, map(escape, row.cells), strict=True))
    if row.key in linked:
        cells["name"] = f'<a href="#{prefix}{row.key}">{cells["name"]}</a>'
    tags = "".join(
        f'<td class="{_class(title, row)}">{cells[title]}</td>' for title in shown
    )
    anchor = f' id="row-{prefix}{row.key}"' if row.key else ""
    return f'<tr{anchor} class="{" ".join((row.kind, *row.marks))}">{tags}</tr>'


def _class(title: str, row: _Row) -> str:
    if title == "gradient" and not row.differentiated:
        return "none"
    return "index" if title == "#" else title
