"""A report as one page that needs no other file and steps through the chain rule."""

from html import escape

from jaxgrad.inspection.report.data import Diagnosis, Report
from jaxgrad.inspection.report.drawing import drawing_of
from jaxgrad.inspection.report.files import page_style, read, template
from jaxgrad.inspection.report.format import plain
from jaxgrad.inspection.report.html import parts
from jaxgrad.inspection.report.svg import picture
from jaxgrad.inspection.report.walkthrough import walkthrough


def page(report: Report) -> str:
    """A page that works offline: it loads nothing from elsewhere."""
    return _page(report, f"{report.name} explained")


def diagnosis_page(diagnosis: Diagnosis) -> str:
    """A page with the faults, each linked to its step in the explanation below."""
    return _page(diagnosis.report, f"{diagnosis.report.name} diagnosed", diagnosis)


def _page(report: Report, title: str, diagnosis: Diagnosis | None = None) -> str:
    explained = template("explained.html").substitute(
        parts(report, "", diagnosis),
        style=page_style() + read("explained.css"),
        graph=picture(drawing_of(report)),
        walkthrough=walkthrough(report),
        result="panel" if report.result is None else f"step-{report.result}",
    )
    scripts = ("page.js", "column.js", "table.js", "chain.js")
    return framed(title, explained, "".join(map(read, scripts)))


def framed(title: str, content: str, script: str = "") -> str:
    """The whole document around the content of a page."""
    return template("page.html").substitute(
        title=escape(plain(title)), report=content, script=script
    )
