"""A report as HTML: for a notebook's cell, or as one page that needs nothing else."""

import zlib
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from jaxgrad.inspection.report.data import Argument, Report, Step
from jaxgrad.inspection.report.drawing import graph
from jaxgrad.inspection.report.marks import (
    Mark,
    Marks,
    has_nonfinite,
    key_of,
    marks,
    named,
)
from jaxgrad.inspection.report.page import SCRIPT, STYLE
from jaxgrad.inspection.report.rows import argument_row, headline, place, rows_of
from jaxgrad.inspection.report.svg import picture
from jaxgrad.inspection.report.text import blame_text


def page(report: Report) -> str:
    """One self-contained page: nothing is fetched, and it works offline."""
    title = escape(f"{report.name} explained")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="data:,"><title>{title}</title>'
        f"<style>body {{ margin: 0; }} .jaxgrad {{ padding: 1.2rem; "
        f"min-height: 100vh; box-sizing: border-box; }}</style></head><body>\n"
        f'{_body(report, "")}\n<div class="jaxgrad-card" role="tooltip"></div>\n'
        f"<script>{SCRIPT}</script>\n</body></html>\n"
    )


def fragment(report: Report) -> str:
    """The same for a notebook: no script, since notebooks may refuse to run it."""
    checksum = zlib.crc32(str(report).encode())
    return _body(report, f"r{checksum:x}-")


def _body(report: Report, prefix: str) -> str:
    found = marks(report)
    drawn = graph(report)
    linked = {node.key for node in drawn.nodes}
    rows = table(report, found, linked, prefix)
    return (
        f'<div class="jaxgrad"><style>{STYLE}</style>'
        f"<h1>{escape(headline(report))}</h1>\n{_remarks(report, found)}"
        f'{_zoom(prefix)}<div class="graph">{picture(drawn, prefix)}</div>\n'
        f'<div class="scroll">{rows}</div></div>'
    )


def _zoom(prefix: str) -> str:
    """How large the graph is drawn: three radio buttons that work without a script."""
    choices = {
        "auto": "fit the window, legibly",
        "whole": "whole graph",
        "full": "full size",
    }
    buttons = (
        f'<input type="radio" name="{prefix}zoom" class="{name}" id="{prefix}{name}"'
        f"{' checked' if name == 'auto' else ''}>"
        f'<label class="zoom" for="{prefix}{name}">{text}</label>'
        for name, text in choices.items()
    )
    return "".join(buttons)


def _remarks(report: Report, found: Marks) -> str:
    parts = []
    if report.note:
        parts.append(f"<p>{escape(report.note)}</p>")
    if has_nonfinite(report) and report.nonfinite is not None:
        parts.append(f"<pre>{escape(blame_text(report.nonfinite))}</pre>")
    items = [
        f'<dt class="{m}">{m}</dt><dd>{escape(why)}</dd>' for m, why in named(found)
    ]
    if items:
        parts.append(f"<dl>{''.join(items)}</dl>")
    return "\n".join(parts)


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


def table(report: Report, found: Marks, linked: set[str], prefix: str) -> str:
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


def _rows(report: Report, found: Marks) -> Iterator[_Row]:
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
