"""A comparison that can show itself."""

from pathlib import Path

from jaxgrad.inspection.comparison.html import fragment, page
from jaxgrad.inspection.comparison.result import Findings
from jaxgrad.inspection.comparison.svg import standalone
from jaxgrad.inspection.comparison.text import text, verdict
from jaxgrad.inspection.report.explanation import data_of
from jaxgrad.inspection.report.saving import save


class Comparison(Findings):
    """Two reports side by side: prints as a verdict and a table of aligned steps."""

    def __repr__(self) -> str:
        return f"<Comparison: {verdict(self)[0]}>"

    def __str__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return fragment(self)

    def save(self, path: str | Path) -> None:
        """Write it in the format of the path's suffix.

        .html: both graphs joined, and the table, as one page that needs no other file.
        .svg: both graphs joined. .json: the rows, the first difference, both reports.

        Raises:
            ValueError: If the suffix is another; the message lists these.
        """
        graph = {".svg": lambda: standalone(self)}
        save(path, {".html": lambda: page(self), **graph, **data_of(self)})
