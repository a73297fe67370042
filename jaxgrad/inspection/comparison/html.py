"""A comparison as a page: the verdict, both graphs joined, and the table."""

from collections.abc import Iterator
from html import escape

from jaxgrad.inspection.comparison.result import Findings, Matched
from jaxgrad.inspection.comparison.svg import svg
from jaxgrad.inspection.comparison.text import COLUMNS, LEGEND, row_of, text, verdict
from jaxgrad.inspection.report.files import read, template
from jaxgrad.inspection.report.format import plain
from jaxgrad.inspection.report.marks import key_of
from jaxgrad.inspection.report.notebook import graph_and_style, new_prefix
from jaxgrad.inspection.report.page import framed

PICTURE = (
    "Above theirs, below ours. Lines join corresponding arrays, red if they differ."
)


def page(found: Findings) -> str:
    """A page that works offline: it loads nothing from elsewhere."""
    return framed(_names(found), _body(found, ""), read("page.js"))


def fragment(found: Findings) -> str:
    """The same for a notebook's cell, without the script."""
    return _body(found, new_prefix("c", text(found)))


def _names(found: Findings) -> str:
    return plain(f"{found.theirs.name} and {found.ours.name} compared")


def _body(found: Findings, prefix: str) -> str:
    return template("compared.html").substitute(
        graph_and_style(svg(found, prefix), prefix),
        headline=escape(_names(found)),
        verdict=escape("\n".join(verdict(found))),
        legend=escape(f"{PICTURE} {LEGEND}."),
        head="".join(f'<th scope="col">{title}</th>' for title in COLUMNS),
        rows="\n".join(_rows(found, prefix)),
    )


def _rows(found: Findings, prefix: str) -> Iterator[str]:
    for m in found.matched:
        row = row_of(m, found.first)
        cells = [escape(cell).replace("_", "_<wbr>") for cell in row]
        for i, side, thing in ((0, "theirs", m.theirs), (2, "ours", m.ours)):
            if thing is not None:
                href = f"#{prefix}{side}-{key_of(thing)}"
                cells[i] = f'<a href="{href}">{cells[i]}</a>'
        data = "".join(f"<td>{cell}</td>" for cell in cells)
        yield f'<tr class="{_class(m, row.mark)}">{data}</tr>'


def _class(m: Matched, mark: str) -> str:
    if mark:
        return "blamed"
    parted = (m.value or 0) > 1 or (m.gradient or 0) > 1
    return "non-finite" if parted else "step"
