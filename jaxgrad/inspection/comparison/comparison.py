"""A comparison that can show itself."""

from pathlib import Path

from jaxgrad.inspection.comparison.html import fragment, page
from jaxgrad.inspection.comparison.result import Findings
from jaxgrad.inspection.comparison.text import text
from jaxgrad.inspection.report.explanation import write


class Comparison(Findings):
    """Two reports side by side: prints as a verdict and a table of aligned steps."""

    def __str__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return fragment(self)

    def save(self, path: str | Path) -> None:
        """Write both graphs side by side as one HTML page that needs no other file."""
        write(path, page(self))
