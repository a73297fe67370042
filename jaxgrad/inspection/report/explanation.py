"""A `Report`, a `Finding` and a `Diagnosis` that can show themselves."""

import secrets
from pathlib import Path

from jaxgrad import _archive
from jaxgrad.inspection.report import data, record
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

    def save_record(self, path: str | Path) -> None:
        """Write the report as one npz file for `load_record`.

        It holds everything: values, gradients, steps, lines, and what `nonfinite`
        finds. Nothing is pickled, and a checksum covers the file, which receives its
        name only when it is complete. Of further results under `has_aux` arrays,
        numbers and strings are kept, in tuples, lists and mappings; another
        container becomes a mapping by paths, anything else None.
        """
        path = Path(path).resolve()
        draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
        _archive.write(path, draft, record.packed(self))

    def to_svg(self) -> str:
        """The graph as SVG: arguments at the left, the result at the right."""
        return svg(self)

    def to_dot(self) -> str:
        """The graph in Graphviz's DOT language."""
        return dot(self)


def load_record(path: str | Path) -> Explanation:
    """Read an `Explanation` that `save_record` has written, here or elsewhere.

    It prints, renders and saves as the original does. Arrays are NumPy's, with the
    same dtype and bits.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a bit of it has changed, it is cut, it is another kind of file,
            or it has the format of another version; the message names it.
    """
    fields, found = record.unpacked(Path(path))
    finding = None if found is None else Blame(**found)
    return Explanation(**fields, _find=lambda _: finding)


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
    """Write a file that replaces one of that name at once."""
    path = Path(path).resolve()
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
