"""A report as HTML for a notebook's cell, and the parts that its page has as well."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from jaxgrad.inspection.report.data import Diagnosis, Finding, Report
from jaxgrad.inspection.report.drawing import drawing_of
from jaxgrad.inspection.report.files import template
from jaxgrad.inspection.report.format import MEAN, RANGE, prose
from jaxgrad.inspection.report.marks import (
    Marks,
    finding_in,
    key_in,
    key_of,
    marks,
    meanings,
)
from jaxgrad.inspection.report.notebook import graph_and_style, new_prefix
from jaxgrad.inspection.report.rows import COLUMNS, Row, headline, rows
from jaxgrad.inspection.report.svg import picture
from jaxgrad.inspection.report.text import blame_text, diagnosis_text, text

LEGEND = f"Arrays are shown as {RANGE}, in the graph as {MEAN}."


def fragment(report: Report) -> str:
    """A notebook's cell, without a script: many notebooks block it."""
    return _body(report, new_prefix("r", text(report)))


def diagnosis_fragment(diagnosis: Diagnosis) -> str:
    """A notebook's cell with the faults, each linked to its step below."""
    prefix = new_prefix("d", diagnosis_text(diagnosis))
    return _body(diagnosis.report, prefix, diagnosis)


def _body(report: Report, prefix: str, diagnosis: Diagnosis | None = None) -> str:
    """The report; `prefix` keeps the ids of several reports on a page apart."""
    return template("report.html").substitute(
        parts(report, prefix, diagnosis),
        **graph_and_style(picture(drawing_of(report), prefix), prefix),
        legend=escape(LEGEND),
    )


def parts(report: Report, prefix: str, diagnosis: Diagnosis | None) -> dict[str, str]:
    """The headline, the remarks below it, and the table, by their names."""
    found, linked = marks(report), {node.key for node in drawing_of(report).nodes}
    findings = diagnosis.findings if diagnosis else ()
    numbers = _numbers(report, findings)
    titles = [title for title in COLUMNS if found or numbers or title != "mark"]
    remarks = _remarks(report, found, blame=diagnosis is None)
    if diagnosis is not None:
        remarks = itertools.chain(_verdict(diagnosis, prefix), remarks)
    return {
        "headline": escape(headline(report)),
        "remarks": "\n".join(remarks),
        "head": "".join(f'<th scope="col">{title}</th>' for title in titles),
        "rows": "\n".join(_rows(rows(report, found), titles, linked, numbers, prefix)),
    }


def _numbers(report: Report, findings: Sequence[Finding]) -> dict[str, list[int]]:
    """The numbers of the findings by the keys of the steps and arguments they name."""
    numbers: dict[str, list[int]] = {}
    for i, finding in enumerate(findings, 1):
        named = (a for a in report.arguments if a.path == finding.argument)
        for key in {key_in(report, finding), *map(key_of, named)} - {""}:
            numbers.setdefault(key, []).append(i)
    return numbers


def _verdict(diagnosis: Diagnosis, prefix: str) -> Iterator[str]:
    """The text of a diagnosis, a paragraph each, with anchors and links."""
    first, *paragraphs = diagnosis_text(diagnosis).split("\n\n")
    yield f"<p>{escape(first)}</p>"
    keys = [key_in(diagnosis.report, finding) for finding in diagnosis.findings]
    for i, paragraph in enumerate(paragraphs, 1):
        if i > len(diagnosis.findings):
            yield f"<p>{escape(paragraph)}</p>"
            continue
        where = keys[i - 1]
        link = f'<a href="#row-{prefix}{where}">to its step</a>' if where else ""
        finding = {"id": f"{prefix}finding-{i}", "text": escape(paragraph)}
        yield template("finding.html").substitute(finding, link=link)


def _remarks(report: Report, found: Marks, blame: bool) -> Iterator[str]:
    if report.note:
        yield f"<p>{escape(prose(report.note))}</p>"
    if blame and (finding := finding_in(report)) is not None:
        yield f"<pre>{escape(blame_text(finding))}</pre>"
    if found:
        item = template("meaning.html")
        items = (item.substitute(mark=m, meaning=escape(t)) for m, t in meanings(found))
        yield f"<dl>{''.join(items)}</dl>"


def _rows(
    table: Sequence[Row],
    titles: Sequence[str],
    linked: set[str],
    numbers: Mapping[str, list[int]],
    prefix: str,
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
        for i in numbers.get(row.key, ()):
            cells["mark"] += f' <a href="#{prefix}finding-{i}">finding {i}</a>'
        data = "".join(f'<td class="{_class(t, row)}">{cells[t]}</td>' for t in titles)
        anchor = f' id="row-{prefix}{row.key}"' if row.key else ""
        yield f'<tr{anchor} class="{" ".join((row.kind, *row.marks))}">{data}</tr>'
        above = row.location or above


def _class(title: str, row: Row) -> str:
    if title == "gradient" and not row.differentiated:
        return "none"
    return "index" if title == "#" else title
