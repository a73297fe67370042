"""A report as HTML: for a notebook's cell, or as one page that needs no other file."""

import zlib
from collections.abc import Iterator, Sequence
from html import escape

from jaxgrad.inspection.report.data import Report
from jaxgrad.inspection.report.drawing import drawing_of
from jaxgrad.inspection.report.files import page_style, read, template
from jaxgrad.inspection.report.format import MEAN, RANGE, plain, prose
from jaxgrad.inspection.report.marks import Marks, finding_in, marks, meanings
from jaxgrad.inspection.report.rows import COLUMNS, Row, headline, rows
from jaxgrad.inspection.report.svg import picture
from jaxgrad.inspection.report.text import blame_text, text

LEGEND = f"Arrays are shown as {RANGE}, in the graph as {MEAN}."


def page(report: Report) -> str:
    """A page that works offline: it loads nothing from elsewhere."""
    return template("page.html").substitute(
        title=escape(plain(f"{report.name} explained")),
        report=_body(report, ""),
        script=read("page.js"),
    )


def fragment(report: Report) -> str:
    """The same for a notebook's cell, without the script: many notebooks block it."""
    checksum = zlib.crc32(text(report).encode())
    return _body(report, f"r{checksum:x}-")


def _body(report: Report, prefix: str) -> str:
    """The report; `prefix` keeps the ids of several reports on a page apart."""
    found, drawing = marks(report), drawing_of(report)
    titles = [title for title in COLUMNS if found or title != "mark"]
    linked = {node.key for node in drawing.nodes}
    return template("report.html").substitute(
        prefix=prefix,
        style=page_style(),
        headline=escape(headline(report)),
        remarks="\n".join(_remarks(report, found)),
        graph=picture(drawing, prefix),
        legend=escape(LEGEND),
        head="".join(f'<th scope="col">{title}</th>' for title in titles),
        rows="\n".join(_rows(rows(report, found), titles, linked, prefix)),
    )


def _remarks(report: Report, found: Marks) -> Iterator[str]:
    if report.note:
        yield f"<p>{escape(prose(report.note))}</p>"
    if (finding := finding_in(report)) is not None:
        yield f"<pre>{escape(blame_text(finding))}</pre>"
    if found:
        items = (
            f'<dt class="{mark}">{mark}</dt><dd>{escape(meaning)}</dd>'
            for mark, meaning in meanings(found)
        )
        yield f"<dl>{''.join(items)}</dl>"


def _rows(
    table: Sequence[Row], titles: Sequence[str], linked: set[str], prefix: str
) -> Iterator[str]:
    """The rows as HTML; a line of source is not repeated in the row below."""
    above = ""
    for row in table:
        # Long names break after an underscore.
        cells = {t: escape(c).replace("_", "_<wbr>") for t, c in row.cells.items()}
        if row.location == above:
            cells["source"] = escape(above).replace("_", "_<wbr>")
        if row.key in linked:
            cells["name"] = f'<a href="#{prefix}{row.key}">{cells["name"]}</a>'
        data = "".join(f'<td class="{_class(t, row)}">{cells[t]}</td>' for t in titles)
        anchor = f' id="row-{prefix}{row.key}"' if row.key else ""
        yield f'<tr{anchor} class="{" ".join((row.kind, *row.marks))}">{data}</tr>'
        above = row.location or above


def _class(title: str, row: Row) -> str:
    if title == "gradient" and not row.differentiated:
        return "none"
    return "index" if title == "#" else title
