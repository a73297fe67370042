"""A `Report`, a `Finding` and a `Diagnosis` that can show themselves."""

import secrets
from pathlib import Path

from jaxgrad import _archive
from jaxgrad._display import note
from jaxgrad.inspection.report import data, record, saving
from jaxgrad.inspection.report.data import Finding, Report
from jaxgrad.inspection.report.dot import dot
from jaxgrad.inspection.report.format import plain
from jaxgrad.inspection.report.html import diagnosis_fragment, fragment
from jaxgrad.inspection.report.page import diagnosis_page, page
from jaxgrad.inspection.report.plain_data import json_text
from jaxgrad.inspection.report.raster import picture_file
from jaxgrad.inspection.report.rows import headline
from jaxgrad.inspection.report.svg import svg
from jaxgrad.inspection.report.text import blame_text, diagnosis_text, text


class Blame(Finding):
    """A `Finding` that prints as a few lines."""

    def __str__(self) -> str:
        return blame_text(self)

    def __repr__(self) -> str:
        line = self.source and self.source.place
        known = {"reason": self.reason, "argument": self.argument, "source": line}
        shown = [f"{name}={value!r}" for name, value in known.items() if value]
        return f"Blame({', '.join([repr(self.kind), *shown])})"

    def _repr_html_(self) -> str:
        return note(str(self), bad=True)


class Blames(tuple[Blame, ...]):
    """Several findings, the most serious first; they print one below the other."""

    def __str__(self) -> str:
        return "\n\n".join(map(str, self)) or "Nothing found."

    def _repr_html_(self) -> str:
        return note(str(self), bad=bool(self))


class Explanation(Report):
    """A `Report` that prints as a table and is drawn as a page, SVG or DOT."""

    def __repr__(self) -> str:
        return f"<Explanation of {headline(self)}>"

    def __str__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return fragment(self)

    def save(self, path: str | Path) -> None:
        """Write the report in the format of the path's suffix.

        .html: one page that needs no other file, with the chain rule to play through.
        .svg, .dot, .png, .pdf: the graph; the last two are drawn by matplotlib.
        .json: the fields of this report, with arrays of up to 1,000 numbers.

        For .html and .json `chain_rule` is computed: the program is compiled and run
        once more. A file of that name is replaced at once: it is never half a file.

        Raises:
            ValueError: If the suffix is another; the message lists these.
            ImportError: If matplotlib is needed and not installed.
        """
        saving.save(
            path, {".html": lambda: page(self), **pictures(self), **data_of(self)}
        )

    def save_record(self, path: str | Path) -> None:
        """Write the report as one npz file for `load_record`.

        It holds everything: values, gradients, steps, lines, what `nonfinite` finds,
        and `chain_rule`, whose contributions of more than 64 elements are summaries.
        Nothing is pickled, and a checksum covers the file, which receives its name only
        when it is complete. Of further results under `has_aux` arrays,
        numbers and strings are kept, in tuples, lists and mappings; another
        container becomes a mapping by paths, anything else None.
        """
        path = Path(path).resolve()
        draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
        _archive.write(path, draft, record.packed(self))

    def to_svg(self) -> str:
        """The graph as SVG: down to the result, or to the right if that is narrower."""
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
    fields, found, chain = record.unpacked(Path(path))
    finding = None if found is None else Blame(**found)
    return Explanation(**fields, _find=lambda _: finding, _chain=lambda _: chain)


class Diagnosis(data.Diagnosis):
    """A `Diagnosis` that prints as a list of faults and is shown as a page."""

    def __repr__(self) -> str:
        kinds = ", ".join(finding.kind for finding in self.findings) or "no fault"
        return f"<Diagnosis of {plain(self.report.name)}: {plain(kinds, 200)}>"

    def __str__(self) -> str:
        return diagnosis_text(self)

    def _repr_html_(self) -> str:
        return diagnosis_fragment(self)

    def save(self, path: str | Path) -> None:
        """Write it in the format of the path's suffix, as `Explanation.save` does.

        .html: the faults and the explanation as one page. .json: both as data.
        .svg, .dot, .png, .pdf: the graph of the explanation.
        """
        makers = {**pictures(self.report), **data_of(self)}
        saving.save(path, {".html": lambda: diagnosis_page(self), **makers})


def pictures(report: Report) -> saving.Makers:
    """The formats of a report's graph."""
    return {
        ".svg": lambda: svg(report),
        ".dot": lambda: dot(report),
        ".png": lambda: picture_file(report, "png"),
        ".pdf": lambda: picture_file(report, "pdf"),
    }


def data_of(result: object) -> saving.Makers:
    """The formats of data that other programs read."""
    return {".json": lambda: json_text(result)}
