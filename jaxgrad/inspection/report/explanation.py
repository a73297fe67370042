"""A `Report`, a `Finding` and a `Diagnosis` that can show themselves."""

import secrets
from pathlib import Path

from jaxgrad.inspection.report import data
from jaxgrad.inspection.report.data import Finding, Report
from jaxgrad.inspection.report.dot import dot
from jaxgrad.inspection.report.html import (
    diagnosis_fragment,
    diagnosis_page,
    fragment,
    page,
)
from jaxgrad.inspection.report.svg import svg
from jaxgrad.inspection.report.text import blame_text, diagnosis_text, text


class Blame(Finding):
    """A `Finding` that prints as a few lines."""

    def __str__(self) -> str:
        return blame_text(self)


class Explanation(Report):
    """A `Report` that prints as a table and is drawn as a page, SVG or DOT."""

    def __str__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return fragment(self)

    def save(self, path: str | Path) -> None:
        """Write the report as one HTML page that needs no other file.

        A file of that name is replaced at once: it is never half a page.
        """
        write(path, page(self))

    def to_svg(self) -> str:
        """The graph as SVG: arguments at the left, the result at the right."""
        return svg(self)

    def to_dot(self) -> str:
        """The graph in Graphviz's DOT language."""
        return dot(self)


class Diagnosis(data.Diagnosis):
    """A `Diagnosis` that prints as a list of faults and is shown as a page."""

    def __str__(self) -> str:
        return diagnosis_text(self)

    def _repr_html_(self) -> str:
        return diagnosis_fragment(self)

    def save(self, path: str | Path) -> None:
        """Write the faults and the explanation as one HTML page."""
        write(path, diagnosis_page(self))


def write(path: str | Path, text: str) -> None:
    path = Path(path).resolve()
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
